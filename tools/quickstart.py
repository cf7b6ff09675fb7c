"""Train a teacher, a plain student and a CIRKD student on synthetic scenes.

The three configs of configs/quickstart run one after the other, as
tools/train.py would run them: about 5 minutes in all on a CPU. Then
the networks are compared on the test split, and the distilled student is
loaded by plain mmsegmentation.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

# Threads that wait by spinning are ten times slower on a busy machine.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import torch  # noqa: E402

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.toys.quickstart import Options, Result, run  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--work-dir', default='work_dirs/quickstart')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--length',
        type=float,
        default=1.0,
        help='training length as a share of the configs, e.g. 0.1 for a trial',
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where an error arose'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    args = parse_args(argv)
    if 'OMP_NUM_THREADS' not in os.environ:
        # Two threads of a small machine often share one core and are then
        # slower than one.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    options = Options(
        ROOT / 'configs' / 'quickstart',
        Path(args.work_dir),
        args.seed,
        args.length,
    )
    options.work_dir.mkdir(parents=True, exist_ok=True)
    log = options.work_dir / 'quickstart.log'
    console = sys.stdout
    with one_line_errors(full=args.traceback):
        # Left open: mmengine's loggers keep the stream until the end.
        quiet = log.open('w', encoding='utf-8', buffering=1)
        with redirect_stdout(quiet), redirect_stderr(quiet):
            return run(options, console)


if __name__ == '__main__':
    main()
