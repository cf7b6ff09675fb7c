"""Write a pruned network without its zero filters.

    python tools/prune_export.py CONFIG CHECKPOINT [--out DIR]

The result is a plain dense network with fewer channels and the same outputs
in eval mode, checked. `DIR/loader.py` loads it without mmkd.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import (  # noqa: E402
    add_checkpoint_arguments,
    add_config_arguments,
    add_input_shape,
)
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.pruning.export import CompactExport, export_compact  # noqa: E402
from mmkd.pruning.export_report import describe  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Remove the zero filters of a pruned network.'
    )
    add_config_arguments(parser)
    add_checkpoint_arguments(parser)
    parser.add_argument(
        '--out', help='folder; default: compact beside the checkpoint'
    )
    add_input_shape(
        parser, 'input on which outputs are compared and costs are measured'
    )
    parser.add_argument(
        '--residual',
        choices=('keep', 'scatter'),
        default='keep',
        help='zero filters that add to a residual stream: keep them (plain '
        'network), or remove them and scatter (smaller, hardly faster)',
    )
    parser.add_argument(
        '--divisor',
        type=int,
        default=1,
        help='widths that shrink become a multiple of it; default 1',
    )
    parser.add_argument(
        '--recalibrate',
        type=int,
        default=0,
        metavar='N',
        help='estimate batch norms anew on N training batches first; the '
        'result is another model',
    )
    parser.add_argument('--onnx', action='store_true', help='write ONNX too')
    parser.add_argument(
        '--no-trace',
        action='store_true',
        help='only blocks with known structure',
    )
    parser.add_argument(
        '--allow-tiny',
        action='store_true',
        help='keep filters that are nearly zero instead of stopping',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=20,
        help='forward passes per network whose time is measured; 0: none',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> CompactExport:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        export = export_compact(
            config,
            args.checkpoint,
            args.out or Path(args.checkpoint).parent / 'compact',
            input_shape=args.input_shape,
            residual=args.residual,
            divisor=args.divisor,
            trace=not args.no_trace,
            allow_tiny=args.allow_tiny,
            onnx=args.onnx,
            recalibrate=args.recalibrate,
            rounds=args.rounds,
            allow_pickle=args.allow_pickle,
            peer=args.peer,
        )
    print('\n'.join(describe(export)))
    return export


if __name__ == '__main__':
    main()
