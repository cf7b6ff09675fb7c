"""What AnchorNet's selection and cascade cost, as ratios within one run.

    python -m benchmarks.cascade CONFIG [--dense CONFIG] [--batch-size 64]
        [--channels-last]

CONFIG is that of a mmkd.DynamicPatchClassifier; weights are random, the
thresholds are set so that equally many images leave at every stage.

selection: batched against one image after the other, at batch 64.
throughput: (dense time x mean multiply-adds) / (cascade time x dense
multiply-adds); 1 means that the cascade is as much faster as it computes
less. Target: at least 0.9.
peak: highest allocation of the cascade / (dense + proposal network).
Target: at most 1. Times are process CPU time on a CPU, best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.cases.sequential_windows import (  # noqa: E402
    select_in_turn,
    select_in_turn_by_lists,
)
from benchmarks.measure.memory import peak_bytes  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.deploy import deployed_network  # noqa: E402
from mmkd.models.classifiers import PatchSelector  # noqa: E402
from mmkd.models.classifiers.cascade_cost import count_macs  # noqa: E402
from mmkd.networks import build_network, freeze  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config')
    parser.add_argument('--dense', help='default: that of patch_net')
    parser.add_argument('--size', type=int, default=224)
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--json', help='write the numbers into this file')
    return parser.parse_args(argv)


def best_seconds(
    runs: dict[str, Callable[[], Any]], rounds: int, device: str
) -> dict[str, float]:
    """Run all in turns; the fastest of each counts."""
    cuda = torch.device(device).type == 'cuda'
    clock = time.perf_counter if cuda else time.process_time
    best: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            if cuda:
                torch.cuda.synchronize()
            start = clock()
            run()
            if cuda:
                torch.cuda.synchronize()
            if turn:  # the first warms up
                seconds = clock() - start
                best[name] = min(best.get(name, seconds), seconds)
    return best


def selection(rounds: int, device: str) -> dict[str, float]:
    """Compare the ways to choose 4 windows of 64 maps of 17x17."""
    maps = torch.randn(64, 17, 17, device=device)
    selector = PatchSelector(4, 0.3, accept_top_left=False)
    rule = (selector.iou_thresholds, False, 95, 8)
    boxes, _ = selector(maps)
    for other in (select_in_turn, select_in_turn_by_lists):
        if not torch.equal(other(maps, *rule), boxes.cpu()):
            raise RuntimeError(f'{other.__name__} chooses other windows')
    runs = dict(
        batched=lambda: [selector(maps) for _ in range(20)],
        in_turn=lambda: select_in_turn(maps, *rule),
        by_lists=lambda: select_in_turn_by_lists(maps, *rule),
    )
    seconds = best_seconds(runs, rounds, device)
    batched = seconds['batched'] / 20
    return dict(
        batched_ms=1e3 * batched,
        in_turn=seconds['in_turn'] / batched,
        by_lists=seconds['by_lists'] / batched,
    )


def even_thresholds(cascade: Any, images: Tensor) -> tuple[float, ...]:
    """Return thresholds by which equally many leave at every stage."""
    confidence, _ = cascade.table(images)
    left = torch.ones(len(images), dtype=torch.bool, device=images.device)
    limits = []
    for stage in range(cascade.num_stages - 1):
        share = 1 - 1 / (cascade.num_stages - stage)
        own = confidence[left, stage]
        limits.append(float(own.quantile(share)) if len(own) else 2.0)
        left &= ~(confidence[:, stage] > limits[-1])
    return (*limits, 0.0)


@torch.no_grad()
def throughput(args: argparse.Namespace) -> dict[str, float]:
    """Compare the cascade with the dense classifier."""
    config = read_config(args.config)
    torch.manual_seed(0)
    cascade: Any = freeze(build_network(deployed_network(config)))
    dense_config = args.dense or config.model.patch_net.config
    dense: Any = freeze(
        build_network(deployed_network(read_config(dense_config)))
    )
    layout = torch.contiguous_format
    if args.channels_last:
        layout = torch.channels_last
    cascade = cascade.to(args.device, memory_format=layout)
    dense = dense.to(args.device, memory_format=layout)
    shape = (args.batch_size, 3, args.size, args.size)
    images = torch.randn(shape, device=args.device).to(memory_format=layout)
    cascade.exit_thresholds = even_thresholds(cascade, images)
    _, stages = cascade.run(images)
    costs = cascade.costs(images)
    mean = sum(costs[s - 1] for s in stages.tolist()) / len(images)
    full = count_macs(dense, images)
    device = torch.device(args.device)
    runs: dict[str, Callable[[], Any]] = dict(
        cascade=lambda: cascade.run(images), dense=lambda: dense(images)
    )
    seconds = best_seconds(runs, args.rounds, args.device)
    peaks = {
        name: peak_bytes(run, device)
        for name, run in dict(
            runs, proposal=lambda: cascade.proposal(images)
        ).items()
    }
    return dict(
        cascade_ms=1e3 * seconds['cascade'] / len(images),
        dense_ms=1e3 * seconds['dense'] / len(images),
        mean_giga_macs=mean / 1e9,
        dense_giga_macs=full / 1e9,
        throughput=seconds['dense'] * mean / (seconds['cascade'] * full),
        peak=peaks['cascade'] / (peaks['dense'] + peaks['proposal']),
    )


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure and print."""
    args = parse_args(argv)
    result = dict(
        selection=selection(args.rounds, args.device),
        cascade=throughput(args),
    )
    for part, numbers in result.items():
        text = ', '.join(f'{k} {v:.3f}' for k, v in numbers.items())
        print(f'{part}: {text}')
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=2) + '\n')
    return result


if __name__ == '__main__':
    main()
