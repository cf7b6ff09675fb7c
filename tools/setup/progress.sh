# Running one step of tools/setup_env.sh: time, progress, likely causes.
# shellcheck shell=bash disable=SC2154

steps=7
step_number=0

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
        *"ResolutionImpossible"*)
            echo 'the package index was not reached, or does not offer these
  versions for this Python and machine' ;;
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
