#!/usr/bin/env bash
# Make a virtual environment with everything mmkd needs: torch, torchvision,
# mmengine, mmcv, mmpretrain, mmsegmentation, mmdet, mmpose, the test tools
# and mmkd itself. Linux, Python 3.10 to 3.13; no compiler is needed.
# Safe to run again: it repairs what is missing, and a complete environment
# costs less than a second.
#
# usage: bash tools/setup_env.sh [options]
#   --python EXE          interpreter (default: first of python3.11, 3.12,
#                         3.13, 3.10, python3 that fits)
#   --venv DIR            environment to make (default: MMKD_VENV or .venv)
#   --torch VERSION       2.4.1 ... 2.15.0 (default: MMKD_TORCH or 2.12.0)
#   --torch-index URL     package index to take torch and torchvision from
#   --use-existing-torch  use torch and torchvision of the interpreter
#   --compiled-ops        compile the operators of mmcv (needs a C++ compiler,
#                         5 to 15 minutes); without it those that stock
#                         configs use are made of torchvision's, on CPU and
#                         GPU, and a compiled mmcv that is there stays
#   --cuda-ops            the same for CPU and GPU (needs nvcc, too)
#   --check               only verify the environment
#   -h, --help            this text
# MMKD_WHEELS: where built wheels are kept (default ~/.cache/mmkd/wheels).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/requirements
venv=${MMKD_VENV:-$root/.venv}
torch=${MMKD_TORCH:-2.12.0}
wheels=${MMKD_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmkd/wheels}
interpreter='' torch_index='' existing_torch=no compiled_ops=no
cuda_ops=no check=no

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
        --compiled-ops) compiled_ops=yes ;;
        --cuda-ops) compiled_ops=yes cuda_ops=yes ;;
        --check) check=yes ;;
        -h | --help) usage; exit 0 ;;
        *) fail "unknown option '$1'; see -h" ;;
    esac
    shift
done
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
python=$venv/bin/python
log=$venv/setup.log
stamp=$venv/setup.stamp
unfinished=$venv/setup.unfinished

for part in checks progress steps; do
    # shellcheck source=/dev/null
    . "$root/tools/setup/$part.sh"
done

options="$venv $root $interpreter $torch $torch_index"
options+=" $existing_torch $compiled_ops $cuda_ops"
state() { # changes with the options, these scripts, the pins, and with what
    # others install into the environment
    {
        echo "$options"
        cat "${BASH_SOURCE[0]}" "$root"/tools/setup/* "$requirements"/*.txt
        stand_in_sources
        ls -d "$venv"/lib/python*/site-packages/*.dist-info 2>/dev/null |
            grep -E '/(torch|torchvision|numpy|setuptools|mm|xtcoco)' || true
    } | sha256sum
}

if [ "$check" = yes ]; then
    [ -x "$python" ] || fail "there is no environment in $venv; run without \
--check to make it"
    verify || fail "the environment in $venv is broken (see above); run \
without --check to repair it"
    exit 0
fi

if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(state)" ]; then
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
check_mmcv
[ "$compiled_ops" = no ] || check_compiler
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
step "$([ "$compiled_ops" = yes ] &&
    echo 'mmcv, compiled (once: 4 to 8 minutes on two cores)' ||
    echo 'mmcv')" install_mmcv
step 'xtcocotools and mmpose' install_mmpose
step 'test tools, mmkd' install_mmkd
step 'verification' verify
state >"$stamp"
sed -n 's/^operators *ok */operators of mmcv: /p' "$log" | tail -n 1 |
    cut -d : -f 1,2
echo "ready in $SECONDS s: source ${venv#"$PWD"/}/bin/activate"
