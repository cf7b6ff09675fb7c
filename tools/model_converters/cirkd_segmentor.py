"""Rename a published network of CIRKD for a config of configs/cirkd.

    python tools/model_converters/cirkd_segmentor.py \\
        configs/cirkd/teacher_deeplabv3_r101_cityscapes.py \\
        deeplabv3_resnet101_citys_best_model.pth checkpoints/teacher.pth

CONFIG is that of the plain network (``teacher_*``, ``baseline_*``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.registry import init_default_scope

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.write import write_weights
from mmkd.models.backbones.published_segmentors import convert_segmentor
from mmkd.networks import build_network


def main(argv: list[str] | None = None) -> None:
    """Read, rename, fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config')
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    args = parser.parse_args(argv)
    init_default_scope('mmseg')
    try:
        state = read_checkpoint(args.source)['state_dict']
        network = build_network(args.config)
        renamed = convert_segmentor(state, network)
    except (OSError, ValueError) as error:
        parser.exit(1, f'error: {args.source}: {error}\n')
    write_weights(args.target, renamed)
    print(f'{args.target}: {len(renamed)} tensors')


if __name__ == '__main__':
    main()
