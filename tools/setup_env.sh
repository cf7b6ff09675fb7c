#!/usr/bin/env bash
# Make a virtual environment with everything mmkd needs: torch, torchvision,
# mmengine, mmcv (built from source), mmpretrain, mmsegmentation, mmdet,
# mmpose, the test tools and mmkd itself. Linux, Python 3.10 to 3.12.
# Safe to run again: it repairs what is missing, and a complete environment
# costs less than a second.
#
# usage: bash tools/setup_env.sh [options]
#   --python EXE          interpreter (default: first of python3.11, 3.12,
#                         3.10, python3 that fits)
#   --venv DIR            environment to make (default: MMKD_VENV or .venv)
#   --torch VERSION       2.4.1 ... 2.12.0 (default: MMKD_TORCH or 2.12.0)
#   --torch-index URL     package index to take torch and torchvision from
#   --use-existing-torch  use torch and torchvision of the interpreter
#   --cuda-ops            also build the CUDA operators of mmcv (needs nvcc);
#                         without them, networks made of torch's operators
#                         still train on a GPU
#   --check               only verify the environment
#   -h, --help            this text
# MMKD_WHEELS: where built wheels are kept (default ~/.cache/mmkd/wheels).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/requirements
venv=${MMKD_VENV:-$root/.venv}
torch=${MMKD_TORCH:-2.12.0}
wheels=${MMKD_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmkd/wheels}
interpreter='' torch_index='' existing_torch=no cuda_ops=no check=no
steps=7
step_number=0

fail() {
    printf '\nset-up stopped: %s\n' "$1" >&2
    exit 1
}

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "$0"; }

need_value() { [ "$1" -ge 2 ] || fail "option $2 needs a value; see -h"; }

while [ $# -gt 0 ]; do
    case $1 in
        --python) need_value $# "$1"; interpreter=$2; shift ;;
        --venv) need_value $# "$1"; venv=$2; shift ;;
        --torch) need_value $# "$1"; torch=$2; shift ;;
        --torch-index) need_value $# "$1"; torch_index=$2; shift ;;
        --use-existing-torch) existing_torch=yes ;;
        --cuda-ops) cuda_ops=yes ;;
        --check) check=yes ;;
        -h | --help) usage; exit 0 ;;
        *) fail "unknown option '$1'; see -h" ;;
    esac
    shift
done
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
python=$venv/bin/python
log=$venv/setup.log
unfinished=$venv/setup.unfinished

# ---------------------------------------------------------------- checks

torchvision_for() {
    case $1 in
        2.4.1) echo 0.19.1 ;;
        2.5.0) echo 0.20.0 ;;
        2.5.1) echo 0.20.1 ;;
        2.6.0) echo 0.21.0 ;;
        2.7.0) echo 0.22.0 ;;
        2.7.1) echo 0.22.1 ;;
        2.8.0) echo 0.23.0 ;;
        2.9.0) echo 0.24.0 ;;
        2.9.1) echo 0.24.1 ;;
        2.10.0) echo 0.25.0 ;;
        2.11.0) echo 0.26.0 ;;
        2.12.0) echo 0.27.0 ;;
        *) return 1 ;;
    esac
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
        2>/dev/null
}

choose_interpreter() {
    local candidate
    if [ -n "$interpreter" ]; then
        command -v "$interpreter" >/dev/null ||
            fail "--python $interpreter: no such program"
        fits "$interpreter" || fail "$interpreter is $("$interpreter" \
            --version 2>&1 || true); mmkd needs Python 3.10, 3.11 or 3.12"
        return
    fi
    for candidate in python3.11 python3.12 python3.10 python3 python; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            interpreter=$candidate
            return
        fi
    done
    fail "no Python 3.10, 3.11 or 3.12 found on PATH (python3 is $(python3 \
        --version 2>&1 || echo missing)). Install one, or name it: --python EXE"
}

check_venv_module() {
    "$interpreter" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$interpreter cannot make virtual environments (modules venv, \
ensurepip). On Debian or Ubuntu: apt install python3-venv"
}

check_folder() {
    local have want
    if [ ! -x "$python" ]; then
        [ -z "$(ls -A "$venv" 2>/dev/null | grep -v '^setup\.')" ] ||
            [ -f "$venv/pyvenv.cfg" ] || fail "$venv exists and is not a \
virtual environment; choose another folder with --venv DIR"
        return 0
    fi
    have=$("$python" -c 'import sys; print(*sys.version_info[:2])') ||
        fail "$venv holds an environment that does not start; delete it"
    want=$("$interpreter" -c 'import sys; print(*sys.version_info[:2])')
    [ "$have" = "$want" ] || fail "$venv was made with Python ${have/ /.}, \
not ${want/ /.}: delete it, or choose another folder with --venv"
}

check_disk() {
    local need=12 folder=$venv free
    "$python" -c 'import torch' 2>/dev/null && need=2
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    [ -w "$folder" ] || fail "no permission to write in $folder; choose \
another folder with --venv DIR"
    free=$(($(df -Pk "$folder" | awk 'NR == 2 {print $4}') / 1048576))
    [ "$free" -ge "$need" ] || fail "$folder has $free GiB free, $need GiB \
are needed (torch alone brings 5 GiB). Free some, or choose another folder \
with --venv DIR"
}

check_compiler() {
    local folder include cxx=${CXX:-c++}
    command -v "$cxx" >/dev/null || fail "no C++ compiler ($cxx), needed to \
build mmcv. On Debian or Ubuntu: apt install build-essential"
    include=$("$interpreter" -c \
        'import sysconfig; print(sysconfig.get_path("include"))')
    [ -f "$include/Python.h" ] || fail "the headers of $interpreter are \
missing ($include/Python.h), needed to build mmcv. On Debian or Ubuntu: apt \
install python3-dev (or python3.11-dev, ...)"
    folder=$(mktemp -d)
    printf '#include <filesystem>\n#include <optional>\nint main() { %s }\n' \
        'std::optional<int> x = 0; return *x;' >"$folder/x.cpp"
    "$cxx" -std=c++17 "$folder/x.cpp" -o "$folder/x" 2>/dev/null ||
        { rm -rf "$folder"; fail "$cxx cannot compile C++17 ($("$cxx" \
            --version | head -n 1)). Install g++ 9 or newer, or set CXX"; }
    rm -rf "$folder"
    if [ "$cuda_ops" = yes ] && ! command -v nvcc >/dev/null; then
        fail "--cuda-ops needs the CUDA compiler nvcc on PATH; install the \
CUDA toolkit of your torch build, or leave --cuda-ops out"
    fi
}

check_torch() {
    local version
    if [ "$existing_torch" = no ]; then
        torchvision_for "$torch" >/dev/null || fail "torch $torch is not \
supported; use one of 2.4.1, 2.5.0, 2.5.1, 2.6.0, 2.7.0, 2.7.1, 2.8.0, \
2.9.0, 2.9.1, 2.10.0, 2.11.0, 2.12.0"
        return
    fi
    version=$("$interpreter" -c 'import torch, torchvision.ops
print(torch.__version__)' 2>&1) || fail "--use-existing-torch: $interpreter \
cannot import torch and torchvision ($(tail -n 1 <<<"$version")). Install \
them there, name another interpreter with --python, or leave the option out"
    torch=${version%%+*}
    torchvision_for "$torch" >/dev/null || fail "--use-existing-torch: \
$interpreter has torch $version, supported are 2.4.1 to 2.12.0"
}

# ----------------------------------------------------------------- steps

explain() { # the likely cause of a failed step, from its output
    local text
    text=$(tail -n 300 "$1")
    case $text in
        *"No space left on device"*)
            echo 'the disk is full. Free some space (also in $TMPDIR, /tmp)' ;;
        *"Killed signal"* | *"fatal error: Killed"* | *"out of memory"*)
            echo 'memory ran out. Set MAX_JOBS=1 to compile one file a time' ;;
        *"name resolution"* | *"NewConnectionError"* | *"timed out"* | \
            *"Network is unreachable"* | *"ProxyError"* | \
            *"SSLError"* | *"RemoteDisconnected"*)
            echo 'the package index cannot be reached. Check the network,
  proxy and pip configuration (pip config list)' ;;
        *"No matching distribution"* | *"Could not find a version"*)
            echo 'the package index does not offer this version for this
  Python and machine. Check the index (pip config list, --torch-index)' ;;
        *"Permission denied"*) echo 'a folder cannot be written' ;;
        *"mismatches the version that was used to compile"*)
            echo 'nvcc and the CUDA version of torch differ. Put the matching
  toolkit on PATH (CUDA_HOME), or leave --cuda-ops out' ;;
        *) echo 'see the output above' ;;
    esac
}

progress() { # how far a compiler run is: the last [n/m] of its output
    { grep -ao '^ *\[[0-9]*/[0-9]*\]' "$1" || true; } | tail -n 1 |
        tr -d '[] '
}

step() { # step TITLE COMMAND...: run it, show time and progress, log the rest
    local title=$1 output job start=$SECONDS now shown=0 done_files status=0
    shift
    step_number=$((step_number + 1))
    printf '[%d/%d] %s\n' "$step_number" "$steps" "$title"
    output=$(mktemp)
    set -m # a process group of its own, so that a stop ends all of it
    "$@" >"$output" 2>&1 </dev/null &
    set +m
    job=$!
    trap 'kill -- "-$job" 2>/dev/null' EXIT
    trap 'exit 130' INT TERM
    while kill -0 "$job" 2>/dev/null; do
        sleep 0.2
        now=$((SECONDS - start))
        if [ $((now - shown)) -ge 30 ]; then
            shown=$now
            done_files=$(progress "$output")
            printf '      ... %d s%s\n' "$now" \
                "${done_files:+, $done_files files compiled}"
        fi
    done
    wait "$job" || status=$?
    trap - EXIT INT TERM
    { printf '== %s\n' "$title"; cat "$output"; } >>"$log"
    if [ "$status" -ne 0 ]; then
        grep -av '^WARNING' "$output" | tail -n 15 |
            sed 's/^/      | /' >&2 || true
        fail "step $step_number ($title): $(explain "$output").
  Whole output: $log. Running the same command again goes on from here."
    fi
    rm -f "$output"
    printf '      done (%d s)\n' $((SECONDS - start))
}

pip_install() { # the mark stays when pip is stopped half-way
    touch "$unfinished"
    "$python" -m pip install -q --disable-pip-version-check \
        -c "$requirements/constraints.txt" "$@"
    rm "$unfinished"
}

clear_unfinished() {
    [ -f "$unfinished" ] && [ -f "$venv/pyvenv.cfg" ] || return 0
    echo "the last set-up stopped half-way: clearing $venv (built
wheels are kept)"
    find "$venv" -mindepth 1 -maxdepth 1 ! -name 'setup.*' -exec rm -rf {} +
    rm -f "$unfinished"
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

install_mmcv() {
    local folder stamp=$venv/mmcv-wheel
    folder=$wheels/$(wheel_folder)
    export MMCV_WITH_OPS=1 FORCE_CUDA=0 CFLAGS="-g0 ${CFLAGS:-}" \
        CXXFLAGS="-g0 ${CXXFLAGS:-}" MAX_JOBS=${MAX_JOBS:-$(nproc)}
    [ "$cuda_ops" = no ] || export FORCE_CUDA=1
    build_wheel "$folder" mmcv
    if [ "$(cat "$stamp" 2>/dev/null)" != "$folder" ]; then
        rm -f "$stamp"
        pip_install --no-deps --force-reinstall "$folder"/mmcv-*.whl
        echo "$folder" >"$stamp"
    fi
}

install_repositories() {
    pip_install -r "$requirements/runtime.txt" -r "$requirements/seg.txt" \
        -r "$requirements/det.txt" mmpretrain
    # without the graphics libraries of a desktop OpenCV cannot be imported
    "$python" -c 'import cv2' ||
        pip_install --force-reinstall --no-deps opencv-python-headless
}

install_mmpose() {
    local numpy folder
    numpy=$("$python" -c 'import numpy, sys; print("cp%d%d-numpy%s" % (
        *sys.version_info[:2], numpy.__version__.split(".")[0]))')
    folder=$wheels/$numpy-$(uname -m)
    build_wheel "$folder" xtcocotools
    pip_install --no-deps "$folder"/xtcocotools-*.whl
    pip_install -r "$requirements/pose.txt"
    pip_install --no-deps mmpose
}

install_mmkd() { # a path entry: mmengine finds `mmkd::` bases only this way
    pip_install -r "$requirements/tests.txt"
    echo "$root" >"$(site_packages)/mmkd_source.pth"
    (cd "$root" && "$python" -c \
        'import setup; setup.add_mim_extension(link=True)')
}

verify() { # a broken environment is made anew by the next run
    local status=0
    "$python" "$root/tools/check_env.py" || status=$?
    [ "$status" -lt 2 ] || touch "$unfinished"
    [ "$status" -eq 0 ] || rm -f "$venv/setup-stamp"
    return "$status"
}

# ------------------------------------------------------------------ main

if [ "$check" = yes ]; then
    [ -x "$python" ] || fail "there is no environment in $venv; run without \
--check to make it"
    verify || fail "the environment in $venv is broken (see above); run without \
--check to repair it"
    exit 0
fi

stamp=$venv/setup-stamp
wanted=$({
    echo "$venv $root $interpreter $torch $torch_index $existing_torch" \
        "$cuda_ops"
    cat "${BASH_SOURCE[0]}" "$requirements"/*.txt
} | sha256sum)
if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    echo "environment $venv is up to date"
    exit 0
fi

[ "$(uname -s)" = Linux ] || fail "mmkd is set up on Linux only, this is \
$(uname -s)"
choose_interpreter
check_torch
check_venv_module
check_folder
check_disk
check_compiler
mkdir -p "$venv"
mkdir -p "$wheels" 2>/dev/null || fail "cannot write $wheels, where built \
wheels are kept; set MMKD_WHEELS to another folder"
exec 9>"$venv/setup.lock"
flock -n 9 || fail "another set-up of $venv is running"
rm -f "$stamp"
clear_unfinished

echo "setting up $venv ($("$interpreter" --version), $([ "$existing_torch" = \
yes ] && echo 'existing torch' || echo "torch $torch")); log: $log"
step 'environment and build tools' make_venv
step 'torch and torchvision (some GB to download)' install_torch
step 'mmengine, mmpretrain, mmsegmentation, mmdet' install_repositories
step 'mmcv (built once: 4 to 8 minutes on two cores)' install_mmcv
step 'xtcocotools and mmpose' install_mmpose
step 'test tools, mmkd' install_mmkd
step 'verification' verify
echo "$wanted" >"$stamp"
echo "ready in $SECONDS s: source ${venv#"$PWD"/}/bin/activate"
