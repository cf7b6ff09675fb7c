"""Twenty steps of each method on a GPU, with and without mixed precision.

    python -m benchmarks.gpu_steps --json gpu.json [METHOD ...]

Prepared for the day when a GPU is at hand: it asks nothing and goes on after
a failure. For each method: losses of the steps in float32 on the CPU and on
the GPU and in mixed precision, the largest relative difference, memory.
``--device cpu`` tries the script without a GPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.trust.toys import METHODS, forgotten_globals, seed_all, toy_run
from mmkd.utils.dist import unwrapped

STEPS, BATCH = 20, 8


def steps_on(name: str, device: str, amp: bool, steps: int) -> dict[str, Any]:
    """Return the losses of steps, and the memory that they took."""
    with forgotten_globals(), tempfile.TemporaryDirectory() as folder:
        toy = toy_run(name, Path(folder), BATCH, min(steps, 4))
        model = unwrapped(toy.model).to(device)
        wrapper: Any = toy.runner.optim_wrapper
        if amp:
            wrapper = _mixed(toy.runner, device)
        losses = []
        for step in range(steps):
            model.train()
            seed_all(step)
            batch = copy.deepcopy(toy.batches[step % len(toy.batches)])
            values = model.train_step(batch, wrapper)
            losses.append(float(values['loss']))
        on_gpu = device.startswith('cuda')
        peak = torch.cuda.max_memory_allocated() if on_gpu else 0
        return dict(losses=losses, peak_mib=round(peak / 2**20, 1))


def _mixed(runner: Any, device: str) -> Any:
    """Build the optimizers anew for mixed precision."""
    kind = (
        'AmpOptimWrapper'
        if device.startswith('cuda')
        else 'mmkd.AutocastOptimWrapper'
    )
    given = copy.deepcopy(runner.cfg.optim_wrapper)
    phases = [v for v in given.values() if isinstance(v, dict)]
    plain = 'optimizer' in given
    for config in [given] if plain else phases:
        config['type'] = kind
        if device.startswith('cuda'):
            config['loss_scale'] = 'dynamic'
    return runner.build_optim_wrapper(given)


def measure(
    methods: Sequence[str], device: str, steps: int
) -> dict[str, dict[str, Any]]:
    """Return what each method gave, or why it did not."""
    found = {}
    for name in methods:
        entry: dict[str, Any] = {}
        for key, where, amp in (
            ('cpu', 'cpu', False),
            ('device', device, False),
            ('mixed', device, True),
        ):
            try:
                entry[key] = steps_on(name, where, amp, steps)
            except Exception:
                entry[key] = dict(error=traceback.format_exc()[-1500:])
        one, two = (entry[key].get('losses') for key in ('cpu', 'device'))
        if one and two:
            entry['largest_difference'] = max(
                abs(a - b) / max(abs(a), 1e-6)
                for a, b in zip(one, two, strict=True)
            )
        found[name] = entry
        kept = {k: v for k, v in entry.items() if k == 'largest_difference'}
        wrong = [k for k in entry if k not in kept and 'error' in entry[k]]
        print(name, kept, f'failed: {wrong}', flush=True)
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('methods', nargs='*', default=list(METHODS))
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--steps', type=int, default=STEPS)
    parser.add_argument('--json', type=Path, required=True)
    args = parser.parse_args()
    found = measure(args.methods, args.device, args.steps)
    name = (
        torch.cuda.get_device_name()
        if args.device.startswith('cuda')
        else 'CPU'
    )
    content = dict(device=name, torch=torch.__version__, methods=found)
    args.json.write_text(json.dumps(content, indent=1) + '\n')


if __name__ == '__main__':
    main()
