"""Rename published ImageNet weights for the backbones of configs/cirkd.

    python tools/model_converters/cirkd_backbone.py resnet18 \\
        resnet18-imagenet.pth checkpoints/resnet18_v1s.pth

See configs/cirkd/README.md for where the weights come from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.write import write_weights
from mmkd.models.backbones.published_weights import convert_by_order
from mmkd.registry import MODELS

BACKBONES = {
    'resnet18': dict(type='mmkd.ResNetV1s', depth=18),
    'resnet101': dict(type='mmkd.ResNetV1s', depth=101),
    'mobilenet_v2': dict(type='mmkd.DilatedMobileNetV2'),
}


def main() -> None:
    """Read, rename and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('backbone', choices=sorted(BACKBONES))
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    args = parser.parse_args()
    try:
        state = read_checkpoint(args.source)['state_dict']
        renamed = convert_by_order(
            state, MODELS.build(BACKBONES[args.backbone])
        )
    except (OSError, ValueError) as error:
        parser.exit(1, f'error: {args.source}: {error}\n')
    write_weights(args.target, renamed)
    print(f'{args.target}: {len(renamed)} tensors')


if __name__ == '__main__':
    main()
