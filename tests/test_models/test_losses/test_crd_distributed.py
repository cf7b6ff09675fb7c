"""CRD in two gloo processes: the same banks and constants everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from mmkd.models.losses import CRDLoss

SAMPLES, STEPS = 30, 2
# sample 5 occurs on both ranks
INDEX = torch.tensor([[5, 3, 9, 7], [1, 5, 20, 2]])


def run(mine: slice, seed: int) -> dict[str, torch.Tensor]:
    """Run two steps on some ranks' samples; return the buffers."""
    torch.manual_seed(seed)  # other banks on rank 1: rank 0's must win
    loss = CRDLoss(6, 7, SAMPLES, 4, num_negatives=5).double()
    generator = torch.Generator().manual_seed(0)
    draw = dict(generator=generator, dtype=torch.float64)
    with torch.no_grad():  # as DistributedDataParallel would
        for parameter in loss.parameters():
            parameter.copy_(torch.randn(parameter.shape, **draw))
    for _ in range(STEPS):
        student, teacher = (torch.randn(2, 4, c, **draw) for c in (6, 7))
        contrast = torch.randint(SAMPLES, (2, 4, 6), generator=generator)
        loss(
            student[mine].flatten(0, 1),
            teacher[mine].flatten(0, 1),
            INDEX[mine].flatten(),
            contrast[mine].flatten(0, 1),
        )
    return {k: v.clone() for k, v in loss.named_buffers()}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    torch.save(run(slice(rank, rank + 1), rank), f'{folder}/rank{rank}.pth')
    distributed.barrier()  # nobody leaves while the other still sends
    distributed.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp('gloo')
    multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [
        torch.load(folder / f'rank{rank}.pth', weights_only=True)
        for rank in range(2)
    ]


def test_ranks_agree(ranks):
    first, second = ranks
    for name, buffer in first.items():
        assert torch.equal(buffer, second[name]), name


@pytest.mark.slow
def test_banks_are_those_of_one_process(ranks):
    single = run(slice(None), seed=0)
    for side in ('student', 'teacher'):
        torch.testing.assert_close(
            ranks[0][f'memory_{side}'], single[f'memory_{side}']
        )


@pytest.mark.slow
def test_constants_are_those_of_rank_0(ranks):
    alone = run(slice(0, 1), seed=0)
    for side in ('student', 'teacher'):
        assert torch.equal(ranks[0][f'z_{side}'], alone[f'z_{side}'])
        assert alone[f'z_{side}'] > 0
