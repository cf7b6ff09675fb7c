"""Training steps under fake CUDA tensors: which are made on the CPU?

    python -m benchmarks.trust.fake_device [METHOD ...] [--json FILE]

No GPU is needed. Shapes and devices are followed (torch's FakeTensorMode),
numbers are not: a step stops where it asks for a number, and from there on
nothing is said.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from benchmarks.trust.toys import (
    METHODS,
    Toy,
    forgotten_globals,
    seed_all,
    toy_run,
)

WHOLE, STOPPED, WRONG = 'whole step', 'stopped', 'wrong device'
FAILED = 'failed'  # before the step
_MMKD = Path(__file__).resolve().parents[2] / 'mmkd'


def fake_step(toy: Toy) -> dict[str, str]:
    """Compute the losses of a step.

    Args:
        toy: its model is of no use afterwards.

    Returns:
        ``result``, one of the three above, and ``where``: the line of mmkd,
        or of another package, that asked for a number or mixed devices.
    """
    model = toy.model
    model.train()
    for name in ('check_labels', 'check_finite'):
        if hasattr(model, name):
            setattr(model, name, False)
    seed_all(0)
    data = model.data_preprocessor(toy.batches[0], True)  # real, on the CPU
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, ExitStack() as s:
        for module in _networks(model):
            _move(module, mode)
        s.enter_context(_no_first_looks(model))
        data = _moved(data, mode)
        try:
            _losses(model, data)  # no backward: it asks for a real context
        except (
            DataDependentOutputException,
            DynamicOutputShapeException,
        ) as error:
            return dict(result=STOPPED, where=_place(error, str(error.func)))
        except RuntimeError as error:
            text = str(error)
            if 'device' in text and 'PrimaryContext' not in text:
                return dict(result=WRONG, where=_place(error, text))
            return dict(result=STOPPED, where=_place(error, text))
        except (TypeError, ValueError, NotImplementedError) as error:
            return dict(result=STOPPED, where=_place(error, str(error)))
    return dict(result=WHOLE, where='')


def _losses(model: Any, data: Any) -> torch.Tensor:
    """Sum of the losses of all phases."""
    if hasattr(model, 'losses_by_phase'):
        found = model.losses_by_phase(**data).values()
    else:
        found = [model(**data, mode='loss')]
    terms = []
    for losses in found:
        for name, value in losses.items():
            if 'loss' in name:
                terms += value if isinstance(value, list) else [value]
    return torch.stack([term.mean() for term in terms]).sum()


def _networks(model: nn.Module) -> Iterator[nn.Module]:
    """The model and teachers, which are not registered in it."""
    yield model
    for role in getattr(model, 'roles', ()):
        yield role.network
        yield role.heads


def _move(module: nn.Module, mode: FakeTensorMode) -> None:
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, value in store.items():
                if value is None or _is_moved(value):
                    continue
                fake = _moved(value.detach(), mode)
                if isinstance(value, nn.Parameter):
                    fake = nn.Parameter(fake, value.requires_grad)
                store[name] = fake


def _is_moved(value: torch.Tensor) -> bool:
    return value.device.type == 'cuda'


def _moved(value: Any, mode: FakeTensorMode) -> Any:
    """Return a value whose tensors are fake, on a GPU that is not there."""
    if isinstance(value, torch.Tensor):
        return mode.from_tensor(value).to('cuda')
    if isinstance(value, dict):
        return {key: _moved(inner, mode) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(inner, mode) for inner in value)
    if hasattr(value, 'all_items'):  # data samples of mmengine
        for key, inner in list(value.items()):
            if hasattr(inner, 'all_items'):
                _moved(inner, mode)
            elif isinstance(inner, torch.Tensor):
                object.__setattr__(value, key, _moved(inner, mode))
            elif hasattr(inner, 'tensor'):  # boxes
                inner.tensor = _moved(inner.tensor, mode)
    return value


@contextmanager
def _no_first_looks(model: Any) -> Iterator[None]:
    """Leave out what looks at numbers in the first steps only.

    And the accuracies of mmsegmentation and mmpose, which ask for values.
    """
    for module in model.modules():
        if type(module).__name__.endswith('HeatmapHead'):
            module.train_cfg = dict(compute_acc=False)
    with ExitStack() as stack:
        stack.enter_context(
            mock.patch(
                'mmseg.models.decode_heads.decode_head.accuracy',
                lambda *_, **__: torch.zeros((), device='cuda'),
            )
        )
        if hasattr(model, '_check_gradients'):
            stack.enter_context(mock.patch.object(model, '_check_gradients'))
        stack.enter_context(
            mock.patch(
                'mmkd.utils.indices.FirstGpuBatches.__call__',
                lambda *_: False,
            )
        )
        yield


def _place(error: BaseException, text: str) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _MMKD in Path(f.filename).parents]
    libraries = [f for f in frames if '/mm' in f.filename] or frames
    frame = own[-1] if own else libraries[-1]
    last = libraries[-1]
    name = '/'.join(Path(frame.filename).parts[-2:])
    deepest = '/'.join(Path(last.filename).parts[-2:])
    inside = '' if last is frame else f' (in {deepest}:{last.lineno})'
    return f'{name}:{frame.lineno}{inside}: {" ".join(text.split())[:100]}'


def measure(methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what `fake_step` says of each method."""
    found = {}
    for name in methods:
        with forgotten_globals(), tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = fake_step(toy_run(name, Path(folder), 4, 1))
            except Exception as error:
                found[name] = dict(
                    result=FAILED, where=_place(error, f'{error}')
                )
            print(name, *found[name].values(), sep=' | ', flush=True)
    return found


def main() -> None:
    """Print a line for each method; fail if a device is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('methods', nargs='*', default=list(METHODS))
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    found = measure(args.methods)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + '\n')
    sys.exit(any(e['result'] in (WRONG, FAILED) for e in found.values()))


if __name__ == '__main__':
    main()
