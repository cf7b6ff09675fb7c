"""Verify the environment: import all parts and use one mmcv operator.

Prints one line per part. Exit code: 2 when a package is missing or broken,
1 when only mmkd itself does not import.
"""

from __future__ import annotations

import importlib
import platform
import sys
import warnings

PARTS = {
    'torch': 'torch',
    'torchvision': 'torchvision.ops',
    'mmengine': 'mmengine.runner',
    'mmcv': 'mmcv.ops',
    'mmpretrain': 'mmpretrain.models',
    'mmseg': 'mmseg.models',
    'mmdet': 'mmdet.models',
    'mmpose': 'mmpose.models',
    'mmkd': 'mmkd',
}


def use_mmcv_operator() -> None:
    """Run non-maximum suppression on two boxes that overlap."""
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]])
    kept = nms(boxes, torch.tensor([0.5, 0.9]), 0.5)[1].tolist()
    if kept != [1]:
        raise RuntimeError(f'mmcv.ops.nms kept boxes {kept} instead of [1]')


def main() -> int:
    warnings.simplefilter('ignore')
    print(f'Python       {platform.python_version()}')
    broken = []
    for name, module in PARTS.items():
        try:
            importlib.import_module(module)
            if name == 'mmcv':
                use_mmcv_operator()
            version = importlib.import_module(name).__version__
            print(f'{name:<12} {version}')
        except Exception as error:  # a broken part may raise anything
            print(f'{name:<12} BROKEN: {type(error).__name__}: {error}')
            broken.append(name)
    return 0 if not broken else 1 if broken == ['mmkd'] else 2


if __name__ == '__main__':
    sys.exit(main())
