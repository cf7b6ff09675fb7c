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


def describe(export: CompactExport) -> list[str]:
    """Return the before/after table and what to know about it."""
    done = export.compaction
    shape = ' x '.join(map(str, export.input_shape))
    lines = [f'{"":24}{"masked":>12}{"compact":>12}{"saved":>9}']

    def row(name: str, before: float, after: float, unit: str) -> None:
        lines.append(
            f'{name:24}{before:12.3f}{after:12.3f}'
            f'{1 - after / before:9.1%}  {unit}'
        )

    row('parameters', *(n / 1e6 for n in done.parameters), 'M')
    row('FLOPs', *(n / 1e9 for n in export.flops), f'GMACs at {shape}')
    lines.append(
        f'{"FLOPs, papers count":48}{done.analytic:9.1%}  convolutions only, '
        'zero filters of residual streams as if gone'
    )
    times = {name: s * 1e3 for name, s in export.cpu_times.items()}
    if times:
        unit = f'ms CPU, 1 thread, 1 image (dense: {times["dense"]:.3f})'
        row('time', times['masked'], times['compact'], unit)
    zeros, gone = sum(done.zero_filters.values()), sum(done.removed.values())
    lines.append(f'{gone} channels removed; {zeros} filters were zero')
    lines += describe_missing(export.missing)
    for name in done.emptied:
        lines.append(f'warning: all filters of {name} are zero; one stays')
    reasons: dict[str, int] = {}
    for entry in done.skipped.values():
        reason = str(entry['reason'])
        count = int(str(entry['zero_filters']))
        reasons[reason] = reasons.get(reason, 0) + count
    for reason, count in sorted(reasons.items(), key=lambda x: -x[1])[:5]:
        lines.append(f'  {count} zero filters stay: {reason}')
    if len(reasons) > 5:
        lines.append(f'  and {len(reasons) - 5} more reasons in plan.json')
    if done.not_run:
        lines.append(f'heads left out of the comparison: {done.not_run}')
    lines.append(
        f'outputs differ from the masked network by at most '
        f'{done.max_error:.1e} of their largest value'
    )
    if export.recalibrated:
        lines.append(
            f'batch norms estimated anew on {export.recalibrated} batches: '
            'ANOTHER MODEL than the checkpoint, outputs changed by '
            f'{export.recalibration_change:.1e}; evaluate it'
        )
    if export.onnx_deviation is not None:
        lines.append(f'ONNX deviates by at most {export.onnx_deviation:.1e}')
    lines.append(
        f'written to {export.folder} ({export.seconds:.1f} s for the '
        'compaction); load with loader.py'
    )
    return lines


def describe_missing(missing: dict[str, tuple[int, int]]) -> list[str]:
    """Return a warning and a table, if zero filters are missing."""
    if not missing:
        return []
    width = max(map(len, missing))
    return [
        f'warning: {len(missing)} layers have fewer zero filters than the '
        'pruning hook of the config makes; is this the last checkpoint of '
        'that run?',
        f'  {"layer":<{width}}  zero  promised',
        *(
            f'  {name:<{width}}  {zeros:4d}  {promised:8d}'
            for name, (zeros, promised) in missing.items()
        ),
    ]


if __name__ == '__main__':
    main()
