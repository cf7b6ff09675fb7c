"""Steps of a built model in forked processes, with gloo between them.

Nothing is imported or built again in a child: a case of three processes
costs what its steps cost.
"""

from __future__ import annotations

import copy
import multiprocessing
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from torch import distributed, nn

from benchmarks.trust.toys import Toy, part_of, seed_all, set_norms_apart
from mmkd.models.distillers.phases import (
    PhasedDistributedDataParallel,
    PhasedOptimWrapperConstructor,
)

_FORK = multiprocessing.get_context('fork')


class Passing(nn.Module):
    """In place of a data preprocessor: the batch is preprocessed."""

    def forward(self, data: Any, training: bool = False) -> Any:
        return data


def on_ranks(
    world: int,
    function: Callable[[int, int], Any],
    folder: Path,
    timeout: float = 240,
) -> list[Any]:
    """Return what ``function(rank, world)`` gives in each of its processes.

    Raises:
        AssertionError: a process failed, or did not end in time.
    """
    store = folder / f'store_{world}_{len(list(folder.iterdir()))}'

    def child(rank: int) -> None:
        torch.set_num_threads(1)
        if world > 1:
            distributed.init_process_group(
                'gloo',
                init_method=f'file://{store}',
                rank=rank,
                world_size=world,
            )
        out = folder / f'{store.name}_{rank}.pth'
        try:
            torch.save(dict(value=function(rank, world)), out)
        except BaseException:
            torch.save(dict(error=traceback.format_exc()), out)
            raise
        finally:
            if world > 1:
                distributed.destroy_process_group()

    processes = [
        _FORK.Process(target=child, args=(rank,)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
    late = [process for process in processes if process.is_alive()]
    for process in late:
        process.kill()
    files = [folder / f'{store.name}_{rank}.pth' for rank in range(world)]
    found = [
        torch.load(file, weights_only=False) if file.is_file() else {}
        for file in files
    ]
    errors = [result.get('error') for result in found if 'value' not in result]
    assert not errors and not late, (errors, len(late))
    return [result['value'] for result in found]


def prepared(toy: Toy, double: bool) -> list[Any]:
    """Preprocess the batches once; make the model one of single samples."""
    model = toy.model
    model.train()
    batches = []
    for number, batch in enumerate(toy.batches):
        seed_all(number)
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        if double:
            inputs = data['inputs']
            many = isinstance(inputs, (list, tuple))
            data['inputs'] = (
                [v.double() for v in inputs] if many else inputs.double()
            )
        batches.append(data)
    model.data_preprocessor = Passing()
    if double:
        model.double()
    return batches


def steps_of(
    toy: Toy, batches: list[Any], shares: list[list[tuple[int, int]]],
    rank: int, world: int, accumulate: int = 1, kind: str = 'OptimWrapper',
    lr: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """Take a step on each share of the batches.

    Args:
        toy: not used by another process.
        batches: preprocessed.
        shares: for each rank the parts of a batch, one step each.
        rank, world: of this process.
        accumulate: so many parts make an optimizer's step.
        kind: of the optimizer's wrapper.
        lr: learning rate of plain SGD.
    """
    model = distiller = toy.model
    optimizer = _plain_sgd(distiller, accumulate, kind, lr)
    if rank:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in distiller.parameters():
                value.add_(1e-3)
    if world > 1:
        own = getattr(distiller, 'has_own_step', False)
        wrapper: Any = (
            PhasedDistributedDataParallel if own else MMDistributedDataParallel
        )
        model = wrapper(
            distiller, broadcast_buffers=False, find_unused_parameters=False
        )
    logs = []
    for number, batch in enumerate(batches):
        for first, last in shares[rank]:
            model.train()
            set_norms_apart(model)
            seed_all(1000 + number)
            values = model.train_step(
                copy.deepcopy(part_of(batch, first, last)), optimizer
            )
            logs.append(
                {k: float(torch.as_tensor(v)) for k, v in values.items()}
            )
    gradients = {
        name: value.grad
        for name, value in distiller.named_parameters()
        if value.grad is not None
    }
    return dict(state=distiller.state_dict(), logs=logs, gradients=gradients)


def _plain_sgd(model: Any, accumulate: int, kind: str, lr: float) -> Any:
    """SGD for every phase: nothing that divides by a gradient's size."""
    sgd = dict(
        type=kind,
        optimizer=dict(type='SGD', lr=lr),
        accumulative_counts=accumulate,
    )
    phases = getattr(model, 'phases', ())
    if phases:
        names = ('main', *phases)
        return PhasedOptimWrapperConstructor(
            {name: copy.deepcopy(sgd) for name in names}
        )(model)
    return build_optim_wrapper(model, sgd)
