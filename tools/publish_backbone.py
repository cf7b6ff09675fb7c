"""Write the backbone that a pretraining run made as a plain file.

    python tools/publish_backbone.py CHECKPOINT OUT [--keep-deconv]

Use it in any config of the task repository, without mmkd:
model.backbone.init_cfg=dict(type='Pretrained', prefix='backbone.',
checkpoint=OUT); with --keep-deconv as load_from=OUT.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.models.pretrainers.publish import publish_backbone  # noqa: E402


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('checkpoint', help='of a pretraining run')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--keep-deconv',
        action='store_true',
        help='keep the deconvolutions of a SimpleBaseline head',
    )
    parser.add_argument('--traceback', action='store_true')
    args = parser.parse_args(argv)
    with one_line_errors(full=args.traceback):
        keys = publish_backbone(args.checkpoint, args.out, args.keep_deconv)
    print(f'{args.out}: {len(keys)} tensors')


if __name__ == '__main__':
    main()
