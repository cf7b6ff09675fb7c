"""Banks and losses of MCL-OKD in two gloo processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn import functional

from mmkd.models.losses import MemoryNCELoss

SAMPLES, STEPS, PEERS = 30, 2, 3
# sample 5 occurs on both ranks
INDEX = torch.tensor([[5, 3, 9, 7], [1, 5, 20, 2]])


def run(mine: slice, seed: int, sync: bool) -> dict[str, torch.Tensor]:
    """Run two steps on some ranks' samples; return banks, loss, gradient."""
    torch.manual_seed(seed)  # other banks on rank 1: rank 0's must win
    loss = MemoryNCELoss(
        PEERS, SAMPLES, 4, num_negatives=5, sync_normalizer=sync
    ).double()
    generator = torch.Generator().manual_seed(0)
    found = {}
    for step in range(STEPS):
        raw = torch.randn(
            PEERS, 2, 4, 4, generator=generator, dtype=torch.float64
        )
        embeds = functional.normalize(raw, dim=3)
        contrast = torch.randint(SAMPLES, (2, 4, 6), generator=generator)
        contrast[:, :, 0] = INDEX
        own = embeds[:, mine].flatten(1, 2).requires_grad_()
        value = loss(own, INDEX[mine].flatten(), contrast[mine].flatten(0, 1))
        found[f'loss{step}'] = value.detach()
        (found[f'grad{step}'],) = torch.autograd.grad(value, own)
    return {**found, **{k: v.clone() for k, v in loss.named_buffers()}}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    found = [run(slice(rank, rank + 1), rank, sync) for sync in (True, False)]
    torch.save(found, f'{folder}/rank{rank}.pth')
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


@pytest.mark.slow
@pytest.mark.parametrize('sync', [True, False])
def test_banks_are_those_of_one_process(ranks, sync):
    """With one normaliser, losses and gradients are, too."""
    first, second = (found[0 if sync else 1] for found in ranks)
    single = run(slice(None), seed=0, sync=sync)
    for peer in range(PEERS):
        name = f'bank_{peer}'
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], single[name])
    for step in range(STEPS):
        mean = (first[f'loss{step}'] + second[f'loss{step}']) / 2
        equal = torch.allclose(mean, single[f'loss{step}'], rtol=1e-12)
        assert equal == sync
        if sync:
            grads = [found[f'grad{step}'] / 2 for found in (first, second)]
            torch.testing.assert_close(
                torch.cat(grads, 1), single[f'grad{step}']
            )
