"""Write configs, metafile and README tables that rows.yml stands for.

    python tools/generate_configs.py                    # all folders
    python tools/generate_configs.py configs/hssakd --check

Configs that no row stands for any more are deleted; those that are written
by hand stay as they are. How a rows.yml is written: docs/configs.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmkd.cli.errors import one_line_errors
from mmkd.rows import changes, folders

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def main(argv: Sequence[str] | None = None) -> int:
    """Write what differs, or with --check only name it; return 1 then."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('folders', nargs='*', type=Path)
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing, exit with 1 if something differs',
    )
    args = parser.parse_args(argv)
    with one_line_errors():
        found = {
            path: text
            for folder in args.folders or folders(CONFIGS)
            for path, text in changes(folder).items()
        }
    for path, text in found.items():
        print(f'{path}: {"goes" if text is None else "differs"}')
        if args.check:
            continue
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding='utf-8')
    return int(args.check and bool(found))


if __name__ == '__main__':
    sys.exit(main())
