"""Draw a bar for every method, from the logs that tools/run_seeds.py keeps.

    python tools/plot_results.py docs/results/NAME --metric accuracy/top1 \
        --baseline student=cpu_baseline_resnet8_cifar100 \
        --methods KD=cpu_kd_resnet20_resnet8_cifar100 --out bars.png

METHOD is the name of a config, or LABEL=NAME; by default all are drawn.
The values are those of the last checkpoints on the test data.
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
from mmkd.results.runs import last_values  # noqa: E402
from mmkd.visualization import plot_bars  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('logs', type=Path)
    parser.add_argument('--methods', nargs='+', metavar='METHOD', default=[])
    parser.add_argument('--baseline', metavar='METHOD', help='drawn first')
    parser.add_argument('--metric', default='accuracy/top1')
    parser.add_argument('--out', default='bars.png', help='PNG file')
    parser.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        methods = list(args.methods)
        if not methods and args.logs.is_dir():
            methods = sorted(p.name for p in args.logs.iterdir() if p.is_dir())
        if args.baseline:
            methods = [args.baseline, *methods]
        values = {}
        for method in methods:
            label, _, name = method.rpartition('=')
            values[label or name] = last_values(args.logs / name, args.metric)
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        baseline = next(iter(values)) if args.baseline else None
        plot_bars(values, args.out, args.metric, baseline)
    print(args.out)


if __name__ == '__main__':
    main()
