"""What removing zero filters saves: parameters, FLOPs, CPU time.

    python -m benchmarks.compaction [NETWORK ...] [--rate 0.3]

Random weights, batch norms and masks; one thread.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402

from mmkd.networks import build_network  # noqa: E402
from mmkd.pruning import compact, coupled_groups, mask_coupled  # noqa: E402
from mmkd.pruning.compaction.cost import count_flops, cpu_times  # noqa: E402
from mmkd.pruning.compaction.forward import whole  # noqa: E402
from tests.support.masked_networks import mask_at_random  # noqa: E402

# name -> backbone, its channels, classes, pixels, images of the batch
NETWORKS: dict[str, tuple[dict[str, Any], int, int, int, int]] = dict(
    resnet20=(
        dict(type='mmkd.CIFARResNet', depth=20, shortcut='pad'),
        64,
        10,
        32,
        64,
    ),
    resnet18=(dict(type='ResNet', depth=18), 512, 1000, 224, 8),
    resnet50=(dict(type='ResNet', depth=50), 2048, 1000, 224, 8),
    mobilenet_v2=(dict(type='MobileNetV2'), 1280, 1000, 224, 8),
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description='Benchmark compaction.')
    parser.add_argument('networks', nargs='*', help=', '.join(NETWORKS))
    parser.add_argument('--rate', type=float, default=0.3)
    parser.add_argument('--rounds', type=int, default=15)
    args = parser.parse_args(argv)
    unknown = set(args.networks) - set(NETWORKS)
    if unknown:
        parser.error(f'unknown: {", ".join(unknown)}')
    torch.set_num_threads(1)
    for name in args.networks or NETWORKS:
        print('\n'.join(measure(name, args.rate, args.rounds)), flush=True)


def measure(name: str, rate: float, rounds: int) -> list[str]:
    """Return the lines of one network."""
    backbone, channels, classes, pixels, batch = NETWORKS[name]
    torch.manual_seed(0)
    dense = build_network(
        dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='LinearClsHead',
                num_classes=classes,
                in_channels=channels,
            ),
        )
    ).eval()
    shape = (3, pixels, pixels)
    masked = mask_at_random(copy.deepcopy(dense), rate)
    coupled = mask_at_random(copy.deepcopy(dense), 0.0)
    mask_coupled(coupled, coupled_groups(coupled, shape), rate)
    cpu, wall = time.process_time(), time.perf_counter()
    small, _, report = compact(masked, shape)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    networks = dict(
        dense=dense,
        masked=masked,
        compact=small,
        divisor_8=compact(masked, shape, divisor=8)[0],
        scatter=compact(masked, shape, residual='scatter')[0],
        coupled=compact(coupled, shape)[0],
    )
    one, many = torch.randn(1, *shape), torch.randn(batch, *shape)
    single = cpu_times(networks, one, whole, rounds)
    several = cpu_times(networks, many, whole, max(1, rounds // 2))
    flops = {k: count_flops(n, one, whole) for k, n in networks.items()}
    sizes = {
        k: sum(p.numel() for p in n.parameters()) for k, n in networks.items()
    }
    lines = [
        f'{name}: {sizes["masked"] / 1e6:.3f} M parameters, '
        f'{flops["masked"] / 1e6:.1f} M multiply-adds; compaction {cpu:.1f} s '
        f'CPU, {wall:.1f} s elapsed; error {report.max_error:.1e}; saved as '
        f'papers count {report.analytic:.1%}',
        f'{"":10} params  FLOPs  1 image, ms      {batch} images, ms',
    ]
    for key in networks:
        share, shares = (
            times[key] / times['masked'] for times in (single, several)
        )
        lines.append(
            f'{key:10} {sizes[key] / sizes["masked"]:6.3f} '
            f'{flops[key] / flops["masked"]:6.3f} '
            f'{single[key] * 1e3:7.2f} {share:5.2f}  '
            f'{several[key] * 1e3:9.1f} {shares:5.2f}'
        )
    return lines


if __name__ == '__main__':
    main()
