# Checks of tools/setup_env.sh before anything is installed: each stops
# with one message that says what is wrong and what to do.
# shellcheck shell=bash disable=SC2154

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
        2.12.1) echo 0.27.1 ;;
        2.13.0) echo 0.28.0 ;;
        2.14.0) echo 0.29.0 ;;
        2.14.1) echo 0.29.1 ;;
        2.15.0) echo 0.29.2 ;;
        *) return 1 ;;
    esac
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
        2>/dev/null
}

choose_interpreter() {
    local candidate
    if [ -n "$interpreter" ]; then
        command -v "$interpreter" >/dev/null ||
            fail "--python $interpreter: no such program"
        fits "$interpreter" || fail "$interpreter is $("$interpreter" \
            --version 2>&1 || true); mmkd needs Python 3.10, 3.11, 3.12 or 3.13"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3.10 python3 \
        python; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            interpreter=$candidate
            return
        fi
    done
    fail "no Python 3.10, 3.11, 3.12 or 3.13 found on PATH (python3: \
$(python3 --version 2>&1 || echo missing)). Install one, or use --python EXE"
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
compile mmcv. On Debian or Ubuntu: apt install build-essential; or leave \
--compiled-ops out: the operators that stock configs use need no compiler"
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

check_mmcv() { # a foreign mmcv is not removed without being asked
    local found version
    [ "$compiled_ops" = no ] || return 0
    found=$(compgen -G "$venv/lib/python*/site-packages/mmcv-*.dist-info") ||
        return 0
    version=${found##*/mmcv-}
    version=${version%.dist-info}
    case $version in
        2.1.*) ;;
        *) fail "$venv holds mmcv $version, which mmsegmentation 1.2 and \
mmdet 3.3 refuse. Remove it ($python -m pip uninstall -y mmcv) and run \
again, or choose another folder with --venv DIR" ;;
    esac
}

check_torch_wheels() { # pairs for which there are no wheels
    local minor
    minor=$("$interpreter" -c 'import sys; print(sys.version_info[1])')
    case 3.$minor/$torch in
        3.13/2.4.1) fail "torch 2.4.1 is not made for Python 3.13; use torch \
2.5.0 or newer, or --python python3.12" ;;
        3.10/2.15.*) fail "torch $torch is not made for Python 3.10; use torch \
2.14.1 or older, or --python python3.11" ;;
    esac
}

check_torch() {
    local version
    if [ "$existing_torch" = no ]; then
        torchvision_for "$torch" >/dev/null || fail "torch $torch is not \
supported; use one of 2.4.1, 2.5.0, 2.5.1, 2.6.0, 2.7.0, 2.7.1, 2.8.0, \
2.9.0, 2.9.1, 2.10.0, 2.11.0, 2.12.0, 2.12.1, 2.13.0, 2.14.0, 2.14.1, 2.15.0"
        check_torch_wheels
        return
    fi
    version=$("$interpreter" -c 'import torch, torchvision.ops
print(torch.__version__)' 2>&1) || fail "--use-existing-torch: $interpreter \
cannot import torch and torchvision ($(tail -n 1 <<<"$version")). Install \
them there, name another interpreter with --python, or leave the option out"
    torch=${version%%+*}
    torchvision_for "$torch" >/dev/null || fail "--use-existing-torch: \
$interpreter has torch $version, supported are 2.4.1 to 2.15.0"
}
