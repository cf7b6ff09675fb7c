"""Time the stand-in operators of mmcv_ops against the compiled mmcv.

Needs an environment with the compiled mmcv (tools/setup_env.sh
--compiled-ops). Both are called in turn in one process; a line gives the
median of each, and the median of the ratios of neighbouring calls: below
one, the stand-in is faster.

usage: python -m benchmarks.ops [--repeats 7] [--device cpu]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType

import torch
from mmcv import ops  # type: ignore[attr-defined]
from torch import Tensor

SOURCE = Path(__file__).resolve().parents[1] / 'mmcv_ops'
Case = Callable[[], object]


def load_stand_in() -> ModuleType:
    """The operators of this repository, whatever is installed."""
    sys.path.insert(0, str(SOURCE))
    path = SOURCE / 'mmcv' / '_ext.py'
    spec = importlib.util.spec_from_file_location('stand_in_ext', path)
    if spec is None or spec.loader is None:
        raise ImportError(f'{path} cannot be loaded')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def use(extension: ModuleType) -> None:
    """Let all of mmcv.ops call one implementation."""
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module'):
            vars(module)['ext_module'] = extension


def make_boxes(count: int, size: float, device: str) -> Tensor:
    low = torch.rand(count, 2, device=device) * size * 0.8
    extent = torch.rand(count, 2, device=device) * size * 0.2 + 4
    return torch.cat([low, low + extent], 1)


def training(call: Callable[..., Tensor], *inputs: Tensor) -> Case:
    """Forward and backward."""
    leaves = [tensor.requires_grad_() for tensor in inputs]

    def run() -> None:
        torch.autograd.grad(call(*leaves).sum(), leaves)

    return run


def make_cases(device: str) -> dict[str, Case]:
    """Name and call of each measurement."""
    boxes = make_boxes(1000, 800.0, device)
    scores = torch.rand(1000, device=device)
    maps = torch.randn(2, 256, 100, 152, device=device)
    image = torch.randint(2, (512, 1), device=device).float()
    rois = torch.cat([image, make_boxes(512, 800.0, device)], 1)
    grid = torch.randn(2, 64, 64, 64, device=device)
    weight = torch.randn(64, 64, 3, 3, device=device)
    offset = torch.randn(2, 18, 64, 64, device=device)
    mask = torch.rand(2, 9, 64, 64, device=device)

    def align(maps: Tensor, mode: str) -> Tensor:
        return ops.roi_align(maps, rois, (7, 7), 0.125, 2, mode, True)

    def deform(*tensors: Tensor) -> Tensor:
        return ops.deform_conv2d(*tensors, 1, 1, 1, 1, 1)

    def modulated(*tensors: Tensor) -> Tensor:
        return ops.modulated_deform_conv2d(*tensors, None, 1, 1, 1, 1, 1)

    return {
        'nms, 1000 boxes': lambda: ops.nms(boxes, scores, 0.5),
        'soft_nms, 1000 boxes': lambda: ops.soft_nms(
            boxes, scores, min_score=0.05
        ),
        'roi_align avg, 512 regions': lambda: align(maps, 'avg'),
        '  and backward': training(lambda x: align(x, 'avg'), maps.clone()),
        'roi_align max, 512 regions': lambda: align(maps, 'max'),
        '  and backward ': training(lambda x: align(x, 'max'), maps.clone()),
        'deform_conv, 64x64': lambda: deform(grid, offset, weight),
        '  and backward  ': training(
            deform, grid.clone(), offset.clone(), weight.clone()
        ),
        'modulated_deform_conv, 64x64': lambda: modulated(
            grid, offset, mask, weight
        ),
        '  and backward   ': training(
            modulated,
            grid.clone(),
            offset.clone(),
            mask.clone(),
            weight.clone(),
        ),
    }


def seconds(case: Case, device: str) -> float:
    """Process time on a CPU, so that other programs disturb little."""
    clock = time.process_time if device == 'cpu' else time.perf_counter
    start = clock()
    case()
    if device != 'cpu':
        torch.cuda.synchronize()
    return clock() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--device', default='cpu')
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f'--repeats {options.repeats}: take 1 or more')
    compiled = sys.modules['mmcv._ext']
    if not str(compiled.__file__).endswith('.so'):
        parser.error(
            'there is no compiled mmcv here to compare with: '
            'bash tools/setup_env.sh --compiled-ops'
        )
    stand_in = load_stand_in()
    torch.manual_seed(0)
    print(f'{"":30} compiled  stand-in  ratio')
    for name, case in make_cases(options.device).items():
        times: list[tuple[float, float]] = []
        for turn in range(options.repeats + 1):
            pair = []
            for extension in (compiled, stand_in):
                use(extension)
                pair.append(seconds(case, options.device))
            if turn:  # the first one warms up
                times.append((pair[0], pair[1]))
        first, second = (median(side) for side in zip(*times, strict=True))
        ratio = median(new / old for old, new in times)
        print(
            f'{name:30} {first * 1e3:6.1f} ms {second * 1e3:6.1f} ms '
            f'{ratio:6.2f}',
            flush=True,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
