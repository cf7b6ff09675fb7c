# What the steps of tools/setup_env.sh do.
# shellcheck shell=bash disable=SC2154

pip_install() { # the mark stays when files may lie half-written
    local status=0 pip_log=$venv/setup.pip
    touch "$unfinished"
    rm -f "$pip_log"
    "$python" -m pip install -q --disable-pip-version-check --log "$pip_log" \
        -c "$requirements/constraints.txt" "$@" || status=$?
    # a failed download has changed nothing
    [ "$status" -ne 0 ] && grep -q 'Installing collected' "$pip_log" ||
        rm -f "$unfinished"
    return "$status"
}

pip_remove() {
    "$python" -m pip uninstall -q -y --disable-pip-version-check "$@"
}

clear_unfinished() {
    [ -f "$unfinished" ] && [ -f "$venv/pyvenv.cfg" ] || return 0
    echo "the last set-up stopped half-way: clearing $venv (built
wheels are kept)"
    find "$venv" -mindepth 1 -maxdepth 1 ! -name setup.lock \
        ! -name setup.log -exec rm -rf {} +
}

site_packages() {
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
}

make_venv() {
    local paths
    "$interpreter" -m venv "$venv"
    paths=$(site_packages)/mmkd_existing_torch.pth
    rm -f "$paths"
    if [ "$existing_torch" = yes ]; then
        "$interpreter" -c 'import sys; print(*(p for p in sys.path if
            p.endswith(("site-packages", "dist-packages"))), sep="\n")' \
            >"$paths"
    fi
    pip_install -U -r "$requirements/build.txt"
}

install_torch() {
    [ "$existing_torch" = no ] || return 0
    pip_install ${torch_index:+--index-url "$torch_index"} "torch==$torch" \
        "torchvision==$(torchvision_for "$torch")"
}

wheel_folder() { # wheels fit one Python and one torch build only
    "$python" - "$cuda_ops" <<'PYTHON'
import platform, sys, torch
version, _, build = torch.__version__.partition('+')
cuda = torch.version.cuda
build = build or (f'cu{cuda.replace(".", "")}' if cuda else 'cpu')
ops = '-cudaops' if sys.argv[1] == 'yes' else ''
print(f'cp{sys.version_info[0]}{sys.version_info[1]}-torch{version}+{build}'
      f'{ops}-{platform.machine()}')
PYTHON
}

build_wheel() { # build_wheel FOLDER PACKAGE: into the cache, at once or never
    local folder=$1 name=$2 build version
    version=$(sed -n "s/^$name==//p" "$requirements/constraints.txt")
    compgen -G "$folder/$name-$version-*.whl" >/dev/null && return
    mkdir -p "$folder"
    build=$(mktemp -d "$folder/build.XXXXXX")
    PATH=$venv/bin:$PATH "$python" -m pip wheel -v --no-cache-dir \
        --no-build-isolation --no-deps --no-binary "$name" \
        --disable-pip-version-check -w "$build" "$name==$version" ||
        { rm -rf "$build"; return 1; }
    mv "$build"/*.whl "$folder/" && rmdir "$build"
}

install_wheel() { # install_wheel FOLDER PACKAGE: unless it is this very one
    local folder=$1 name=$2 stamp=$venv/setup.$2
    build_wheel "$folder" "$name"
    [ "$(cat "$stamp" 2>/dev/null)" != "$folder" ] || return 0
    pip_install --no-deps --force-reinstall "$folder/$name"-*.whl
    echo "$folder" >"$stamp"
}

compile_mmcv() {
    if [ -d "$(site_packages)"/mmcv_lite-*.dist-info ]; then
        pip_remove mmkd-mmcv-ops mmcv-lite mmcv
        rm -f "$venv/setup.mmcv"
    fi
    export MMCV_WITH_OPS=1 FORCE_CUDA=0 CFLAGS="-g0 ${CFLAGS:-}" \
        CXXFLAGS="-g0 ${CXXFLAGS:-}" \
        MAX_JOBS=${MAX_JOBS:-$(env -u OMP_NUM_THREADS nproc)}
    [ "$cuda_ops" = no ] || export FORCE_CUDA=1
    install_wheel "$wheels/$(wheel_folder)" mmcv
}

compiled_mmcv_works() {
    "$python" -c 'import sys, torch, mmcv, mmcv._ext as extension
sys.exit(not (mmcv.__version__.startswith("2.1.") and
              extension.__file__.endswith(".so")))' 2>/dev/null
}

stand_in_sources() {
    (cd "$root/mmcv_ops" && cat pyproject.toml setup.py mmcv/*.py \
        mmkd_mmcv_ops/*.py)
}

install_stand_ins() { # mmcv without operators, and ours for it
    local stamp=$venv/setup.mmcv_ops sources build
    if [ -d "$(site_packages)"/mmcv-*.dist-info ]; then
        echo 'the compiled mmcv does not work with this torch: removing it'
        pip_remove mmcv
        rm -f "$venv/setup.mmcv"
    fi
    pip_install mmcv-lite
    sources=$(stand_in_sources | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" != "$sources" ] ||
        [ ! -f "$(site_packages)/mmcv/_ext.py" ] || return 0
    build=$(mktemp -d)
    cp -r "$root/mmcv_ops" "$build/source"
    pip_install --no-deps --no-build-isolation --force-reinstall \
        "$build/source"
    rm -rf "$build"
    echo "$sources" >"$stamp"
}

install_mmcv() {
    if [ "$compiled_ops" = yes ]; then
        compile_mmcv
    elif compiled_mmcv_works; then
        echo 'a compiled mmcv is here and stays'
    else
        install_stand_ins
    fi
}

install_repositories() {
    pip_install -r "$requirements/runtime.txt" -r "$requirements/seg.txt" \
        -r "$requirements/det.txt" mmpretrain
    # without the graphics libraries of a desktop OpenCV cannot be imported
    "$python" -c 'import cv2' ||
        pip_install --force-reinstall --no-deps opencv-python-headless
}

install_xtcocotools() { # no wheel fits NumPy 2 or Python 3.12 and newer
    local version build wheel stamp=$venv/setup.xtcocotools
    version=$(sed -n 's/^xtcocotools==//p' "$requirements/constraints.txt")
    wheel=$wheels/xtcocotools-$version+pycocotools-py3-none-any.whl
    if [ ! -f "$wheel" ]; then
        build=$(mktemp -d)
        "$python" -m pip download -q --disable-pip-version-check --no-deps \
            --no-build-isolation --no-binary xtcocotools -d "$build" \
            "xtcocotools==$version" &&
            "$python" "$root/tools/setup/pure_xtcocotools.py" \
                "$build"/xtcocotools-*.tar.gz "$build" &&
            mv "$build"/*.whl "$wheel" || { rm -rf "$build"; return 1; }
        rm -rf "$build"
    fi
    [ "$(cat "$stamp" 2>/dev/null)" != "$wheel" ] || return 0
    pip_install --no-deps --force-reinstall "$wheel"
    echo "$wheel" >"$stamp"
}

install_mmpose() {
    pip_install pycocotools
    install_xtcocotools
    pip_install -r "$requirements/pose.txt"
    pip_install --no-deps mmpose
}

install_mmkd() { # a path entry: mmengine finds `mmkd::` bases only this way
    pip_install -r "$requirements/tests.txt" -r "$requirements/timm.txt"
    echo "$root" >"$(site_packages)/mmkd_source.pth"
    (cd "$root" && "$python" -c \
        'import setup; setup.add_mim_extension(link=True)')
}

verify() { # a broken environment is made anew by the next run
    local status=0
    "$python" -c 'import runpy, sys; runpy.run_path(sys.argv.pop(1),
        run_name="__main__")' "$root/mmkd/check.py" --all || status=$?
    [ "$status" -lt 2 ] || touch "$unfinished"
    [ "$status" -eq 0 ] || rm -f "$stamp"
    return "$status"
}
