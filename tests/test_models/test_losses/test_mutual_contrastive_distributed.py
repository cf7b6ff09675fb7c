"""Two gloo processes against one process that holds the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from mmkd.models.heads import ContrastiveEmbedding
from mmkd.models.losses import (
    MemoryMutualContrastiveLoss,
    MoCoMutualContrastiveLoss,
    MutualContrastiveLoss,
)

BATCH, STEPS = 8, 2
# partners across the ranks: only the whole batch has none that is lonely
LABELS = torch.tensor([0, 1, 1, 2, 0, 2, 2, 0])
LONELY = torch.tensor([0, 1, 1, 3, 0, 4, 5, 0])


class Heads(nn.Module):
    """Two embedding heads as one module."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            ContrastiveEmbedding(5, 4) for _ in range(2)
        )

    def forward(self, feats: torch.Tensor) -> list[torch.Tensor]:
        return [head(feats) for head in self.heads]


def build_heads() -> Heads:
    torch.manual_seed(0)
    return Heads().double()


def feats(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(BATCH, 5, dtype=torch.float64, generator=generator)


def batch_losses(heads: nn.Module, mine: slice) -> dict[str, dict]:
    """Return losses and gradients of the batch form."""
    result = {}
    for name, labels, ignore in (
        ('plain', LABELS, False),
        ('ignoring', LONELY, True),
    ):
        loss = MutualContrastiveLoss(gather=True, ignore_lonely=ignore)
        heads.zero_grad()
        terms = loss(heads(feats(0)[mine]), labels[mine])
        sum(terms.values()).backward()
        grads = [parameter.grad.clone() for parameter in heads.parameters()]
        values = {key: value.detach() for key, value in terms.items()}
        result[name] = dict(terms=values, grads=grads)
    return result


def stateful(mine: slice, seed: int) -> dict[str, torch.Tensor]:
    """Run the memory and the queue form; return their buffers."""
    torch.manual_seed(seed)  # other banks on rank 1: rank 0's must win
    memory = MemoryMutualContrastiveLoss(2, 20, 4).double()
    queue = MoCoMutualContrastiveLoss(2, 4, 24).double()
    heads = build_heads()
    # samples 5 and 9 occur on both ranks, 5 twice on rank 0
    samples = torch.tensor([5, 3, 5, 9, 7, 5, 9, 1])
    for step in range(STEPS):
        embeds = [v.detach()[mine] for v in heads(feats(step))]
        pos_idx = torch.stack([samples, samples.flip(0)], 1)
        neg_idx = torch.arange(24).view(8, 3) % 20
        memory(embeds, pos_idx[mine], neg_idx[mine])
        queue(embeds, embeds)
    return {**memory.state_dict(), **queue.state_dict()}


def error_of_lonely(mine: slice) -> str:
    with pytest.raises(ValueError) as caught:
        MutualContrastiveLoss(gather=True)(
            build_heads()(feats(0)[mine]), LONELY[mine]
        )
    return str(caught.value)


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    mine = slice(4 * rank, 4 * rank + 4)
    heads = nn.parallel.DistributedDataParallel(build_heads())
    result = dict(
        batch=batch_losses(heads, mine),
        buffers=stateful(mine, seed=rank),
        error=error_of_lonely(mine),
    )
    torch.save(result, f'{folder}/rank{rank}.pth')
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
@pytest.mark.parametrize('name', ['plain', 'ignoring'])
def test_gathered_batch_trains_as_one_process(ranks, name):
    single = batch_losses(build_heads(), slice(None))[name]
    first, second = (rank['batch'][name] for rank in ranks)
    for key, expected in single['terms'].items():
        mean = (first['terms'][key] + second['terms'][key]) / 2
        torch.testing.assert_close(mean, expected)
    for part in (first, second):  # averaged by DistributedDataParallel
        torch.testing.assert_close(part['grads'], single['grads'])
    assert max(grad.abs().max() for grad in single['grads']) > 1e-3


def test_banks_and_queues_are_those_of_one_process(ranks):
    single = stateful(slice(None), seed=0)
    torch.manual_seed(0)
    start = MemoryMutualContrastiveLoss(2, 20, 4).double().banks
    changed = (single['banks'] != start).any(2).any(0)
    assert changed.nonzero()[:, 0].tolist() == [1, 3, 5, 7, 9]
    for key, expected in single.items():
        first, second = (rank['buffers'][key] for rank in ranks)
        assert torch.equal(first, second), key
        torch.testing.assert_close(first, expected)


@pytest.mark.slow
def test_lonely_samples_of_all_ranks_stop_every_rank(ranks):
    for rank in ranks:
        assert '3 of 8 samples have no same-class partner' in rank['error']
