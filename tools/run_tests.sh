#!/usr/bin/env bash
# Set up the environment, then run all checks: style, types, tests.
# Arguments go to pytest, e.g.: bash tools/run_tests.sh -m slow
# Real data: MMKD_DATA=<folder>; tests that need it are skipped without it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh || exit 1
venv=$(realpath "${MMKD_VENV:-.venv}")
cores=$(env -u OMP_NUM_THREADS nproc) # nproc obeys that variable
export PATH=$venv/bin:$PATH OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

failed=''
run() {
    local start=$SECONDS
    echo "== $*"
    "$@" || failed="$failed [$*]"
    echo "   ($((SECONDS - start)) s)"
}

run ruff check .
run ruff format --check .
run codespell
run mypy
run pytest -n "${MMKD_TEST_JOBS:-$cores}" "$@"
if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
echo 'all checks passed'
