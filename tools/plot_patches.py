"""Draw why AnchorNet's cascade decided as it did.

    python tools/plot_patches.py CONFIG CHECKPOINT --images 0 60 120 \\
        --out patches

OUT gets patches.png (for each image: its windows with scores, the class
activation, what each window adds to the proposal network's logit, what the
whole image and each patch add to the logit that decided) and exits.png
(where the images of the split leave). CONFIG is that of a
mmkd.DynamicPatchClassifier.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import add_config_arguments  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.evaluation.features import SPLITS  # noqa: E402
from mmkd.results.patch_pictures import picture_patches  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_config_arguments(parser)
    parser.add_argument('checkpoint')
    parser.add_argument('--split', choices=SPLITS, default='test')
    parser.add_argument(
        '--images', nargs='+', type=int, default=[0], help='to draw, from 0'
    )
    parser.add_argument('--no-exits', action='store_true', help='no histogram')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--out', default='patches', help='folder')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures."""
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        lines = picture_patches(
            read_config(args.config, args.cfg_options),
            args.checkpoint,
            args.out,
            split=args.split,
            images=args.images,
            device=args.device,
            exits=not args.no_exits,
        )
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
