"""Run the programme, and write what it shows.

    python -m benchmarks.trust                  # hours on two CPU cores
    python -m benchmarks.trust --short          # minutes; writes nothing
    python -m benchmarks.trust --only gate soak # these; the others stay

Results go to docs/benchmarks/trust.json, and the table of
docs/benchmarks/trust.md is made of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.trust.parts import PARTS, Part
from benchmarks.trust.report import write_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'docs' / 'benchmarks' / 'trust.json'


def run(part: Part, short: bool) -> dict[str, Any]:
    """Run a part in a process of its own.

    Returns:
        ``passed``, the last line that it printed, and its figures.
    """
    command = part.arguments(short)
    module = command[2]
    if find_spec(module) is None:
        return dict(passed=None, said=f'no module {module}', figures={})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'figures.json'
        if part.figures:
            command += ['--json', str(out)]
        done = subprocess.run(
            command,
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [
            line
            for line in done.stdout.strip().splitlines()
            if ' - INFO - ' not in line  # logs of the runs
        ]
        return dict(
            passed=done.returncode == 0,
            said=lines[-1].strip('= ') if lines else '',
            figures=json.loads(out.read_text()) if out.is_file() else {},
        )


def main() -> None:
    """Run all parts, or some; fail if one does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS)
    args = parser.parse_args()
    stored = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    failed = []
    for name in args.only:
        result = run(PARTS[name], args.short)
        print(name, result['passed'], result['said'], sep=': ', flush=True)
        if result['passed'] is False:
            failed.append(name)
        if not args.short:
            stored[name] = dict(result, torch=torch.__version__)
            RESULTS.write_text(json.dumps(stored, indent=1) + '\n')
            write_table(stored)
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
