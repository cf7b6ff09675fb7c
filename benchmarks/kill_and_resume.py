"""Kill the toy run of each method, resume it, and compare bit for bit.

    python -m benchmarks.kill_and_resume [METHOD ...] [--kills 20]

A run of tools/train.py is killed (SIGKILL) at random moments spread over its
length, a third of them while it saves, and resumed each time; half of the
kills with no data workers, half with two and saves within epochs. At the end
checkpoints, optimizers, schedulers and all logged lines are compared with
those of a run without workers that was left alone. The exit status is 1 if
one bit differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import torch  # noqa: E402

from benchmarks.kills.cases import CASES, clear, shortened  # noqa: E402
from benchmarks.kills.compare import differences  # noqa: E402
from benchmarks.kills.process import (  # noqa: E402
    Kill,
    Moments,
    import_all,
    run_and_kill,
    run_through,
)

Result = dict[str, Any]
SHOWN = 3  # differences of a run that are printed


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Kill, resume, compare.')
    parser.add_argument(
        'methods', nargs='*', help=f'of {", ".join(CASES)}; or configs'
    )
    parser.add_argument('--kills', type=int, default=20, help='per method')
    parser.add_argument('--steps', type=int, default=16, help='of a run')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--json', metavar='FILE', help='add the results to')
    parser.add_argument(
        '--table', action='store_true', help='print that file as a table'
    )
    parser.add_argument('--folder', help='keep the runs here')
    return parser.parse_args(argv)


def kill_and_resume(
    name: str, kills: int, steps: int, seed: int, folder: Path
) -> Result:
    """Kill the runs of a method; half of the kills with data workers.

    Args:
        name: of `CASES`, or a config.
        kills: of both runs together.
        steps: of a run.
        seed: of the moments.
        folder: for all files.

    Returns:
        Counts, and what differed in the end.
    """
    rng = random.Random(f'{seed} {name}')
    found: Result = dict(method=name, config=CASES.get(name, name))
    began = time.monotonic()
    clear(folder)
    alone, moments = None, Moments()
    for workers, share in ((0, (kills + 1) // 2), (2, kills // 2)):
        if share == 0:
            continue
        place = folder / f'workers{workers}'
        place.mkdir()
        configs = {}
        for label, count in (('alone', 0), ('killed', workers)):
            configs[label] = place / f'{label}.py'
            config = shortened(
                found['config'], steps, count, folder, mid_epoch=workers > 0
            )
            config.dump(configs[label])
        killed = place / 'killed'
        if alone is None or config.train_cfg.get('max_epochs'):
            alone = place / 'alone'  # of iterations, both save alike
            moments = run_through(configs['alone'], alone)
        done = []
        for step in sorted(rng.choices(range(steps), k=share)):
            kill = Kill(step, in_save=rng.random() < 1 / 3)
            if run_and_kill(configs['killed'], killed, kill, moments, rng):
                done.append(kill)
        run_through(configs['killed'], killed)
        found[f'workers{workers}'] = dict(
            kills=len(done),
            in_saves=sum(kill.met_save for kill in done),
            differences=list(differences(alone, killed)),
        )
    found['minutes'] = round((time.monotonic() - began) / 60, 1)
    return found


def describe(result: Result) -> str:
    """Return a line for a method."""
    parts = []
    for key in ('workers0', 'workers2'):
        if key in result:
            part = result[key]
            alike = 'equal' if not part['differences'] else 'DIFFERENT'
            parts.append(
                f'{part["kills"]} kills ({part["in_saves"]} in saves), '
                f'{key[-1]} workers: {alike}'
            )
            parts += part['differences'][:SHOWN]
    text = '; '.join(parts) or result.get('error', '')
    return f'{result["method"]}: {text}'


def table(results: Sequence[Result]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        '| method | config | kills, no workers | kills, 2 workers | equal |',
        '| --- | --- | --- | --- | --- |',
    ]
    for result in results:
        cells = []
        for key in ('workers0', 'workers2'):
            part = result.get(key, dict(kills=0, in_saves=0))
            cells.append(f'{part["kills"]} ({part["in_saves"]})')
        equal = 'yes' if is_exact(result) else 'NO'
        name, config = result['method'], result.get('config', '')
        lines.append(
            f'| {name} | `{config}` | {cells[0]} | {cells[1]} | {equal} |'
        )
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    args = parse_args(argv)
    results: list[Result] = []
    if args.table:
        results = json.loads(Path(args.json).read_text())
        print(table(results))
        return results
    torch.set_num_threads(1)
    import_all()
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.methods or CASES:
            label = ''.join(c if c.isalnum() else '_' for c in name)
            folder = Path(args.folder or temporary) / label
            try:
                result = kill_and_resume(
                    name, args.kills, args.steps, args.seed, folder
                )
            except Exception as error:  # the other methods go on
                result = dict(method=name, error=repr(error))
            results.append(result)
            print(describe(result), flush=True)
            if args.json:
                _add(Path(args.json), result)
    return results


def _add(path: Path, result: Result) -> None:
    known = json.loads(path.read_text()) if path.exists() else []
    known = [r for r in known if r['method'] != result['method']]
    path.write_text(json.dumps([*known, result], indent=1) + '\n')


def is_exact(result: Result) -> bool:
    """Whether a method was killed and nothing differed."""
    parts = [result[key] for key in ('workers0', 'workers2') if key in result]
    return bool(parts) and not any(part['differences'] for part in parts)


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    sys.exit(not all(map(is_exact, main())))
