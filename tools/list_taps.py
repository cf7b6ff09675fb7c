"""List all module paths of a config's networks, the places for taps.

    python tools/list_taps.py CONFIG [--filter REGEX] [--input-shape C H W]

For every module: its class, the shapes of its input and output for two
images, and its parameters. Checkpoints of teachers are not needed. The
networks run without storage (torch's meta device) where they can.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import (  # noqa: E402
    add_config_arguments,
    add_input_shape,
)
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.tap_places import (  # noqa: E402
    LEGEND,
    list_modules,
    networks,
    table,
)
from mmkd.utils.types import type_name  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='List module paths.')
    add_config_arguments(parser)
    parser.add_argument(
        '--filter',
        default='',
        help='only paths or classes in which this regular expression is '
        'found, e.g. "layer[34]$"',
    )
    add_input_shape(parser, 'of each image')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        try:
            wanted = re.compile(args.filter)
        except re.error as error:
            raise ValueError(
                f'--filter {args.filter}: no regular expression ({error}); '
                'a backslash before a sign takes it as it is'
            ) from error
        for role, spec in networks(config).items():
            rows, shape = list_modules(spec, args.input_shape)
            rows = [
                row
                for row in rows
                if wanted.search(row.path) or wanted.search(row.kind)
            ]
            print(f'{role}: {type_name(spec["type"])}, input {shape}')
            print(table(rows) if rows else f'no path with "{args.filter}"')
            print()
        print(LEGEND)


if __name__ == '__main__':
    main()
