"""What the pruning hook costs, against a training step.

    OMP_NUM_THREADS=1 python -m benchmarks.pruning [--repeats 15]

CPU time of one mask (selection, damping, table of counts) and of one step
(forward, backward, SGD) of CIFAR ResNets, batch 128, bfloat16.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402
from mmengine.logging import MessageHub  # noqa: E402
from torch import nn  # noqa: E402

from mmkd.engine.hooks import SoftFilterPruningHook  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

STEPS_PER_EPOCH = 391  # 50 000 images in batches of 128


def cpu_time(function: Callable[[], Any], repeats: int) -> float:
    """Return the median CPU time of a call in milliseconds."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * median(times)


def network(depth: int) -> Any:
    """Return a module whose part ``backbone`` is a CIFAR ResNet."""
    config = dict(type='mmkd.CIFARResNet', depth=depth, shortcut='pad')
    model: Any = nn.Module()
    model.backbone = MODELS.build(config)
    return model.to(memory_format=torch.channels_last).train()


def mask_time(depth: int, granularity: str, repeats: int) -> float:
    """Return the cost of one mask."""
    model = network(depth)
    hook = SoftFilterPruningHook('asrfp', 0.4, granularity=granularity)
    runner: Any = SimpleNamespace(
        model=model,
        hooks=[hook],
        iter=0,
        epoch=0,
        max_epochs=200,
        train_loop=None,
        logger=logging.getLogger('silent'),
        message_hub=MessageHub.get_instance('benchmark'),
    )
    hook.before_train(runner)

    def mask() -> None:
        runner.epoch += 1
        hook.after_train_epoch(runner)

    return cpu_time(mask, repeats)


def step_time(depth: int, repeats: int) -> float:
    """Return the cost of one training step."""
    model = network(depth)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images = torch.randn(128, 3, 32, 32)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast('cpu', torch.bfloat16):
            loss = model.backbone(images)[-1].float().mean()
        loss.backward()
        optimizer.step()

    return cpu_time(step, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description='Cost of the pruning hook.')
    parser.add_argument('--repeats', type=int, default=15)
    repeats = parser.parse_args().repeats
    print('| network | granularity | mask ms | step ms | % of an epoch |')
    print('|---|---|---|---|---|')
    for depth in (20, 56):
        step = step_time(depth, max(repeats // 3, 1))
        for granularity in ('filter', 'weight'):
            mask = mask_time(depth, granularity, repeats)
            share = 100 * mask / (step * STEPS_PER_EPOCH)
            print(
                f'| ResNet-{depth} | {granularity} | {mask:.1f} | {step:.0f} '
                f'| {share:.4f} |'
            )


if __name__ == '__main__':
    main()
