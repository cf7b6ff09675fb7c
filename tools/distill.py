"""Distil a network: writes a config, rehearses it and runs it.

    python tools/distill.py --student mmseg::….py --teacher mmseg::….py \
        --data FOLDER [--method auto] [--out FOLDER] [--print]
    python tools/distill.py list-methods
    python tools/distill.py list-teachers [--task TASK] [--match TEXT]

A guide: docs/distill.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.apis.distill import distill  # noqa: E402
from mmkd.apis.listing import list_methods, list_teachers  # noqa: E402
from mmkd.apis.methods import AUTO  # noqa: E402
from mmkd.apis.tasks import SCOPES  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Distil a student from a teacher on a folder of data.'
    )
    parser.add_argument(
        'command',
        nargs='?',
        choices=['list-methods', 'list-teachers'],
        help='say what goes with what, and stop',
    )
    for role in ('student', 'teacher'):
        parser.add_argument(
            f'--{role}',
            nargs='+',
            metavar='NAME',
            help='package::path of a config, a path, a checkpoint of a run, '
            'or a config and its checkpoint',
        )
    parser.add_argument(
        '--data',
        help='folder, or the config of a data set; default: the data of the '
        "student's config",
    )
    parser.add_argument('--method', default=AUTO, help='default: auto')
    parser.add_argument(
        '--out', help='folder of config and run; default: in work_dirs'
    )
    parser.add_argument('--epochs', type=int, help='length of the training')
    parser.add_argument('--batch-size', type=int, help='of one step')
    parser.add_argument(
        '--print',
        action='store_true',
        dest='print_only',
        help='write and rehearse the config, and show it; do not train',
    )
    parser.add_argument('--task', choices=list(SCOPES), help='of the lists')
    parser.add_argument(
        '--match', default='', help='only teachers with this text'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where an error is from'
    )
    args = parser.parse_args(argv)
    if args.command is None:
        for role in ('student', 'teacher'):
            if getattr(args, role) is None:
                parser.error(f'--{role} is missing (list-teachers lists some)')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        if args.command == 'list-methods':
            print(list_methods(args.task))
            return
        if args.command == 'list-teachers':
            print(list_teachers(args.task, args.match))
            return
        path = distill(
            args.student,
            args.teacher,
            args.data,
            args.method,
            args.out,
            epochs=args.epochs,
            batch_size=args.batch_size,
            run=not args.print_only,
            say=print,
        )
        if args.print_only:
            print()
            print(path.read_text(encoding='utf-8'), end='')


if __name__ == '__main__':
    main()
