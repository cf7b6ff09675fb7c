"""The numerics gate: ten steps of each method give the numbers they gave.

    python -m benchmarks.trust.gate            # compare
    python -m benchmarks.trust.gate --write    # decide on new numbers

Bit for bit, in float32: a changed number is a decision that the commit
explains. The steps run in a process of one thread whose libraries take the
kernels that every x86-64 machine has (`PINNED`); on another stack
(`stack`) nothing is compared.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.trust.toys import METHODS, forgotten_globals, seed_all, toy_run

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / 'tests' / 'golden' / 'gate.json'
STEPS, BATCH, EPOCH = 10, 4, 5
#: kernels of torch, MKL, oneDNN, NumPy and the C library without AVX
PINNED = dict(
    ATEN_CPU_CAPABILITY='default',
    MKL_CBWR='COMPATIBLE',
    ONEDNN_MAX_CPU_ISA='SSE41',
    NPY_DISABLE_CPU_FEATURES='AVX2 FMA3 AVX512F AVX512CD AVX512_SKX '
    'AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V3 X86_V4',
    OPENBLAS_CORETYPE='Nehalem',
    GLIBC_TUNABLES='glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F',
    OMP_NUM_THREADS='1',
    MKL_NUM_THREADS='1',
)
#: hooks that are part of a method
_OWN_HOOKS = ('MetaOptimizationHook', 'SoftFilterPruningHook')
_PACKAGES = (
    'torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmpretrain',
    'mmsegmentation', 'mmdet', 'mmpose', 'opencv-python',
)  # fmt: skip


def stack() -> dict[str, str]:
    """Return what the numbers hold for."""
    found = {'machine': platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            found[name] = 'none'
    return found


def measure(methods: Sequence[str]) -> dict[str, Any]:
    """Run ten steps of methods in a pinned process.

    Returns:
        method -> ``losses``, the total of each step, and SHA-256 hashes of
        all logged values and of the weights and buffers in the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'gate.json'
        subprocess.run(
            [
                *(sys.executable, '-m', 'benchmarks.trust.gate'),
                *('--here', str(out), *methods),
            ],
            env={**os.environ, **PINNED, 'PYTHONPATH': str(ROOT)},
            cwd=ROOT,
            check=True,
        )
        return json.loads(out.read_text())


def ten_steps(name: str, folder: Path) -> dict[str, Any]:
    """Return the numbers of a method, in this process."""
    toy = toy_run(name, folder, BATCH, STEPS)
    runner, model = toy.runner, toy.model
    hooks = [h for h in runner.hooks if type(h).__name__ in _OWN_HOOKS]
    loop: Any = runner.train_loop

    def call(point: str, *args: Any, **kwargs: Any) -> None:
        for hook in hooks:
            getattr(hook, point)(runner, *args, **kwargs)

    losses, logs = [], []
    call('before_train')
    for k, batch in enumerate(toy.batches):
        model.train()
        if k % EPOCH == 0:
            call('before_train_epoch')
        seed_all(k)
        call('before_train_iter', k % EPOCH, data_batch=batch)
        values = model.train_step(
            copy.deepcopy(batch), optim_wrapper=runner.optim_wrapper
        )
        call('after_train_iter', k % EPOCH, data_batch=batch, outputs=values)
        numbers = {key: float(torch.as_tensor(v)) for key, v in values.items()}
        losses.append(numbers['loss'])
        logs.append(numbers)
        loop._iter += 1
        if k % EPOCH == EPOCH - 1:
            call('after_train_epoch')
            loop._epoch += 1
    call('after_train')
    return dict(
        losses=losses,
        logs=_sha(repr(log).encode() for log in logs),
        weights=_sha(_bytes_of(model.state_dict())),
    )


def _bytes_of(state: dict[str, Any]) -> Iterator[bytes]:
    for name in sorted(state):
        yield name.encode()
        value = state[name].detach().contiguous().flatten()
        yield value.view(torch.uint8).numpy().tobytes() if len(value) else b''


def _sha(parts: Iterator[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def differences(
    found: dict[str, Any], stored: dict[str, Any]
) -> Iterator[str]:
    """Yield a line for each method that gives other numbers."""
    for name, numbers in found.items():
        wanted = stored.get(name)
        if 'error' in numbers:
            yield f'{name}: {numbers["error"]}'
        elif wanted is None:
            yield f'{name}: not stored; write it'
        elif numbers != wanted:
            pairs = zip(numbers['losses'], wanted['losses'], strict=True)
            first = next((k for k, (a, b) in enumerate(pairs) if a != b), None)
            what = (
                f'loss of step {first + 1} is {numbers["losses"][first]!r}, '
                f'was {wanted["losses"][first]!r}'
                if first is not None
                else 'same losses, other ' + ' and '.join(
                    key for key in ('logs', 'weights')
                    if numbers[key] != wanted[key]
                )
            )  # fmt: skip
            yield f'{name}: {what}'


def _measure_here(methods: Sequence[str], out: Path) -> None:
    """Write the numbers of methods, and why others have none."""
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in methods:
        with forgotten_globals(), tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = ten_steps(name, Path(folder))
            except Exception as error:
                traceback.print_exc()
                found[name] = dict(error=f'{type(error).__name__}: {error}')
        out.write_text(json.dumps(found))


def main() -> None:
    """Compare, or write with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('methods', nargs='*', default=list(METHODS))
    parser.add_argument('--write', action='store_true')
    parser.add_argument('--here', metavar='JSON', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        _measure_here(args.methods, Path(args.here))
        return
    found = measure(args.methods)
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {}
    if args.write:
        good = {k: v for k, v in found.items() if 'error' not in v}
        methods = {**stored.get('methods', {}), **good}
        content = dict(
            stack=stack(), methods={k: methods[k] for k in sorted(methods)}
        )
        STORED.write_text(json.dumps(content, indent=1) + '\n')
        print('\n'.join(f'{k}: {v["error"]}' for k, v in found.items()
              if k not in good) or f'{len(good)} methods written')  # fmt: skip
        sys.exit(len(good) < len(found))
    if stored.get('stack') != stack():
        print('another stack: the numbers need not be equal')
    lines = list(differences(found, stored.get('methods', {})))
    print('\n'.join(lines) or f'{len(found)} methods give the same numbers')
    sys.exit(bool(lines))


if __name__ == '__main__':
    main()
