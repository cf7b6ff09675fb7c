#!/usr/bin/env bash
# The stages of AnchorNet, one after the other; what is done is left alone.
#     bash tools/anchornet_stages.sh toy
#     bash tools/anchornet_stages.sh cpu imagenette
#     bash tools/anchornet_stages.sh densenet201 in1k
# Leaves work_dirs/<dynamic config>/cascade.pth and its tables.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}_${2:-}" in
    toy_) stages='toy_proposal toy_global toy_patch toy_full'; last=toy_dynamic ;;
    cpu_imagenette)
        stages=''
        for stage in proposal global patch full; do
            stages="$stages cpu_${stage}_imagenette"
        done
        last=cpu_dynamic_imagenette ;;
    *_in1k)
        stages="proposal_in1k global_${1}_in1k patch_${1}_in1k"
        last="dynamic_${1}_in1k" ;;
    *) sed -n '2,6s/^# \?//p' "$0" >&2; exit 2 ;;
esac
for stage in $stages; do
    if [ -f "work_dirs/$stage/done" ]; then
        echo "$stage: done before"
    else
        python tools/train.py "configs/anchornet/$stage.py" --resume
        touch "work_dirs/$stage/done"
    fi
done
config="configs/anchornet/$last.py"
out="work_dirs/$last"
mkdir -p "$out"
python tools/patch_cascade.py assemble "$config" "$out/cascade.pth"
python tools/patch_cascade.py table "$config" "$out/cascade.pth" "$out/test.npz"
python tools/test.py "$config" "$out/cascade.pth" --out "$out/test.json"
