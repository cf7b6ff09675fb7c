"""Rename a published EfficientNet-Lite0 for mmkd.EfficientNetLite.

    python tools/model_converters/efficientnet_lite.py \\
        tf_efficientnet_lite0.pth \\
        checkpoints/efficientnet_lite0_imagenette.pth \\
        --classes 0 217 482 491 497 566 569 571 574 701

SOURCE has the names of timm's ``tf_efficientnet_lite0``. The result is a
plain checkpoint of an ImageClassifier; ``--classes`` keeps these rows of the
classifier, in this order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.checkpoints.write import write_weights  # noqa: E402
from mmkd.models.backbones.published_weights import (  # noqa: E402
    convert_by_order,
)
from mmkd.registry import MODELS  # noqa: E402


def main(argv: Sequence[str] | None = None) -> None:
    """Read, rename and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    parser.add_argument('--classes', type=int, nargs='+')
    args = parser.parse_args(argv)
    try:
        state = read_checkpoint(args.source)['state_dict']
        backbone = MODELS.build(dict(type='mmkd.EfficientNetLite'))
        own = backbone.state_dict()  # with the counters of batch norms
        own.update(convert_by_order(state, backbone))
        renamed = {f'backbone.{key}': value for key, value in own.items()}
        for name in ('weight', 'bias'):
            rows = state[f'classifier.{name}']
            renamed[f'head.fc.{name}'] = (
                rows[args.classes].clone() if args.classes else rows
            )
    except (OSError, ValueError, KeyError, IndexError) as error:
        parser.exit(1, f'error: {args.source}: {error}\n')
    write_weights(args.target, renamed)
    print(f'{args.target}: {len(renamed)} tensors')


if __name__ == '__main__':
    main()
