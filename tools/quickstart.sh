#!/usr/bin/env bash
# Set up the environment, then train a teacher, a plain student and a CIRKD
# student on synthetic scenes; results in work_dirs/quickstart.
#
# usage: bash tools/quickstart.sh [set-up options] [-- quickstart options]
#   set-up options:      see bash tools/setup_env.sh --help
#   quickstart options:  see python tools/quickstart.py --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${MMKD_VENV:-.venv}

setup=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        --venv) venv=${2:-$venv} ;;
    esac
    setup+=("$1")
    shift
done
[ $# -eq 0 ] || shift # the --

bash tools/setup_env.sh ${setup[@]+"${setup[@]}"}
exec "$venv/bin/python" tools/quickstart.py "$@"
