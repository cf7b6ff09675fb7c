"""Compare fast losses with plain, formula-by-formula versions.

    python -m benchmarks.losses [--method cirkd] [--repeats 3] [--small]

Both run in this process, one after the other in turns, forward and backward,
and the best repetition of each counts (process CPU time on the CPU, so that
other users of the machine disturb little; wall clock between two
synchronisations on a GPU). "Kept" is what autograd holds for the backward
pass in distinct storages, inputs of the loss not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402

from benchmarks.cases.losses import METHODS  # noqa: E402
from benchmarks.measure.losses import measure, table  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--method',
        choices=METHODS,
        default='cirkd',
        help='whose losses to measure',
    )
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--small', action='store_true', help='small inputs only'
    )
    parser.add_argument('--out', type=Path, help='write results as JSON')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all cases of a method and print the table."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    cases = METHODS[args.method](args.device, args.small)
    results = [measure(case, args.repeats) for case in cases]
    print(
        f'torch {torch.__version__}, {args.threads} thread(s), '
        f'{args.device}, {platform.machine()}, best of {args.repeats}'
    )
    print(table(results))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(result) for result in results]
        args.out.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
