"""Look for what would spoil a distillation, before it starts.

    python tools/doctor.py CONFIG [--cfg-options …]

Builds the distiller with its teacher's weights, takes the first images of
train_dataloader, and names what is wrong: docs/distill.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.apis.doctor import examine_config  # noqa: E402
from mmkd.cli.arguments import add_config_arguments  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Look for what would spoil a distillation.'
    )
    add_config_arguments(parser)
    parser.add_argument(
        '--images', type=int, default=64, help='to look at; default: 64'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        report = examine_config(config, args.images)
        for line in report.lines():
            print(line)
        return 1 if report.findings else 0


if __name__ == '__main__':
    sys.exit(main())
