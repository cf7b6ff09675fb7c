"""Rename a CIFAR-100 classifier of the CRD benchmark (RepDistiller).

    python tools/model_converters/repdistiller.py \\
        configs/cls_baselines/teacher_wrn_40_2_cifar100.py \\
        wrn_40_2_vanilla/ckpt_epoch_240.pth \\
        checkpoints/teacher_wrn_40_2_cifar100.pth

The result is a plain checkpoint of that config: a teacher of cls_baselines,
or the frozen network of configs/hssakd/teacher_frozen_*.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.checkpoints.write import write_weights  # noqa: E402
from mmkd.models.backbones.repdistiller_weights import (  # noqa: E402
    convert_classifier,
    read_repdistiller,
)
from mmkd.networks import build_network  # noqa: E402


def main(argv: Sequence[str] | None = None) -> None:
    """Read, rename and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='of the same network')
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    args = parser.parse_args(argv)
    try:
        state = read_repdistiller(args.source)
        renamed = convert_classifier(state, build_network(args.config))
    except (OSError, ValueError, KeyError) as error:
        parser.exit(1, f'error: {args.source}: {error}\n')
    write_weights(args.target, renamed)
    print(f'{args.target}: {len(renamed)} tensors')


if __name__ == '__main__':
    main()
