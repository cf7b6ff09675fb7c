#!/usr/bin/env bash
# Try one combination of Python and torch: set it up in a folder of its own,
# run tests that touch every package, print its row of docs/install.md.
#
# usage: bash tools/check_stacks.sh PYTHON TORCH [set-up options]
#   e.g. bash tools/check_stacks.sh python3.13 2.15.0
# MMKD_STACKS: folder for the environments (default: a temporary one); each
# takes 6 GB and is removed afterwards, MMKD_KEEP=1 keeps it. What the set-up
# and the tests print is in MMKD_STACKS/NAME.log.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -lt 2 ] || [[ $1 == -* ]]; then
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "$0"
    exit 2
fi
python=$1 torch=$2
shift 2
command -v "$python" >/dev/null || { echo "$python: no such program"; exit 2; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder=${MMKD_STACKS:-$(mktemp -d)}
name=python$version-torch$torch
venv=$folder/$name
log=$folder/$name.log
mkdir -p "$folder"
tests=(tests/test_mmcv_ops tests/test_networks.py tests/test_tools/test_train.py)

row() { printf '| %s | %s | %s |\n' "$version" "$1" "$2"; }

finish() {
    [ "${MMKD_KEEP:-}" = 1 ] || rm -rf "$venv"
    exit "$1"
}

set_up() {
    bash "$root/tools/setup_env.sh" --python "$python" --torch "$torch" \
        --venv "$venv" "$@" >"$log" 2>&1
}

TIMEFORMAT='%R s, %U s of processor time'
{ time set_up "$@"; } 2>"$log.time"
seconds=$(cat "$log.time")
rm "$log.time"
if [ ! -f "$venv/setup.stamp" ]; then
    row "$torch" "set-up: $(sed -n 's/^set-up stopped: //p' "$log" |
        tail -n 1)"
    finish 1
fi
build=$("$venv/bin/python" -c 'import torch; print(torch.__version__)')
operators=$("$venv/bin/python" -c 'import mmcv._ext as extension
print("compiled" if extension.__file__.endswith(".so") else "stand-ins")')
cd "$root" || exit 1
if ! OMP_NUM_THREADS=1 "$venv/bin/python" -m pytest -q -n 0 "${tests[@]}" \
    >>"$log" 2>&1; then
    row "$build" "tests: $(tail -n 1 "$log")"
    finish 1
fi
row "$build" "$operators: all packages import, $(tail -n 1 "$log" |
    grep -o '[0-9]* passed'); set up in $seconds"
finish 0
