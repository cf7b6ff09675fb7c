"""Two gloo processes against one that predicts all held-out samples."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

from mmkd.engine.hooks.held_out_weights_hook import held_out_covariance


class Sample(SimpleNamespace):
    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)


class Stub(nn.Module):
    """Two peers whose probabilities follow from the sample alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def val_step(self, batch: list[int]) -> list[Any]:
        assert not self.training
        return [self.predict(number) for number in batch]

    def predict(self, number: int) -> Any:
        generator = torch.Generator().manual_seed(number)
        scores = torch.rand(2, 3, generator=generator).softmax(1)
        peers = {
            f'peer{k}': Sample(pred_score=score)
            for k, score in enumerate(scores)
        }
        other = {'ensemble': Sample(pred_score=scores.mean(0))}
        label = torch.tensor([number % 3])
        return Sample(gt_label=label, peer_samples={**other, **peers})


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    mine = [[0, 2, 4], [6]] if rank == 0 else [[1, 3, 5]]
    torch.save(held_out_covariance(Stub(), mine), f'{folder}/rank{rank}.pth')
    distributed.barrier()  # nobody leaves while the other still sends
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path) -> None:
    multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    single = held_out_covariance(Stub(), [list(range(7))])
    for rank in range(2):
        found = torch.load(tmp_path / f'rank{rank}.pth', weights_only=True)
        torch.testing.assert_close(found, single)
