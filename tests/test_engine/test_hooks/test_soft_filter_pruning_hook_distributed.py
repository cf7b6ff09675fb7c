"""Two gloo processes that prune one network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import distributed, multiprocessing

from mmkd.pruning import CoupledGroup, choose_masks
from tests.support.pruning_runner import (
    CONVS,
    Batches,
    Net,
    Record,
    make_runner,
    random_batches,
)

METHODS = ('sfp', 'asrfp', 'ghfp', 'coupled')
KINDS = ('filter', 'weight', 'coupled')


def choice(rank: int, kind: str) -> dict[str, torch.Tensor]:
    """Masks of weights that differ between the ranks."""
    generator = torch.Generator().manual_seed(rank)
    weights = {
        name: torch.randn(8, 2, 1, 1, generator=generator) for name in 'ab'
    }
    rates = dict(a=0.5, b=0.25)
    if kind == 'coupled':
        every = torch.arange(8)
        group = CoupledGroup(dict(a=every, b=every), dict(norm=every), 8)
        return choose_masks(weights, rates, 0.5, groups=[group])
    return choose_masks(weights, rates, 0.5, kind)


def train(rank: int, folder: str, method: str) -> dict[int, Any]:
    torch.manual_seed(0)
    model = MMDistributedDataParallel(Net(), broadcast_buffers=False)
    data = random_batches(5)
    mine = slice(3 * rank, 3 * rank + 3)  # of every batch of 6
    record = Record()
    hook = dict(method=method, pruning_rate=0.5)
    if method == 'coupled':
        hook.update(method='asrfp', coupled=True, input_shape=(3, 7, 7))
    make_runner(
        f'{folder}/{method}{rank}',
        hook,
        model=model,
        data=Batches(data.inputs[:, :, mine], data.labels[:, :, mine]),
        hooks=[record],
        optim_wrapper=dict(type='OptimWrapper', accumulative_counts=2),
    ).train()
    return record.after


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    result = dict(
        masks={kind: choice(rank, kind) for kind in KINDS},
        trained={method: train(rank, folder, method) for method in METHODS},
    )
    torch.save(result, f'{folder}/rank{rank}.pth')
    distributed.barrier()  # nobody leaves while the other still sends
    distributed.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp('gloo')
    multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [
        torch.load(folder / f'rank{rank}.pth', weights_only=True)
        for rank in range(2)
    ]


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_the_first_process_decides(ranks, kind) -> None:
    expected = choice(0, kind)
    own = choice(1, kind)
    for rank in ranks:
        assert set(rank['masks'][kind]) == set(expected)
        for name, mask in rank['masks'][kind].items():
            assert torch.equal(mask, expected[name])
    assert any(not torch.equal(own[name], expected[name]) for name in own)


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_processes_hold_the_same_weights_after_every_epoch(
    ranks, method
) -> None:
    first, second = (rank['trained'][method] for rank in ranks)
    assert list(first) == list(range(5))
    for t, state in first.items():
        for name, value in state.items():
            if 'running' not in name:  # statistics are those of a process
                assert torch.equal(value, second[t][name]), (t, name)
    assert not torch.equal(
        first[4]['norm0.running_mean'], second[4]['norm0.running_mean']
    )
    for name in CONVS:
        weight = first[4][f'{name}.weight']
        zero = (weight.flatten(1) == 0).all(1)
        assert int(zero.sum()) == len(weight) // 2
