"""Train configs over several seeds and keep what a results table needs.

For every CONFIG and seed: train, then test the last and the best checkpoint
(best on the validation set). OUT/<config name>/seed<k>.jsonl gets the
logged scalars and one line per test; finished runs are not run again, an
interrupted one is resumed. Of a config with stages, all are run for each
seed, and the last training counts. `tools/results_table.py OUT` makes the
table.

    python tools/run_seeds.py configs/cirkd/cpu_*_camvid.py --seeds 0 1 2 \
        --out docs/results/cirkd_camvid_cpu
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.results.seeds import SeedRuns  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('configs', nargs='+', type=Path)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/seeds')
    )
    parser.add_argument(
        '--metric', default='mIoU', help='key that chose the best checkpoint'
    )
    parser.add_argument(
        '--train-args',
        default='',
        help='passed on to tools/train.py, as one quoted text',
    )
    return parser.parse_args()


def main() -> None:
    """Run all configs, seed by seed."""
    args = parse_args()
    runs = SeedRuns(
        Path(__file__).resolve().parent,
        args.out,
        args.work_dir,
        args.metric,
        args.train_args,
    )
    with one_line_errors():
        runs.run_all(args.configs, args.seeds)


if __name__ == '__main__':
    main()
