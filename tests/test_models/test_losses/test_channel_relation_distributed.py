"""Two processes (gloo): the queue of channels is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import torch
from torch import distributed
from mmkd.models.losses import ChannelRelationLoss

folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
torch.manual_seed(0)
loss = ChannelRelationLoss(
    3, 5, 8, queue_size=50, contrast_size=20, rows_per_step=12,
    group_size=2).double()
loss.projection.eval()  # batch statistics couple the halves
student = torch.randn(3, 4, 3, 8, 8, dtype=torch.float64)
teacher = torch.randn(3, 4, 5, 8, 8, dtype=torch.float64)
given = torch.randperm(20)[:12]
slots = torch.randperm(50)[:20]
if rank == 1:
    loss.channel_queue.zero_()  # the first step must make the ranks agree
    torch.manual_seed(7)
share = 4 // world
logs = []
for step in range(3):
    part = slice(rank * share, (rank + 1) * share)
    rows = given if step < 2 else None  # drawn in the last step
    found = loss(student[step, part], teacher[step, part], rows, slots)
    logs.append({k: float(v.detach()) for k, v in found.items()})
    if step == 1:
        before = loss.channel_queue.clone()
torch.save(dict(given=before, drawn=loss.channel_queue,
                pointer=loss.channel_ptr, logs=logs),
           f'{folder}/out_{world}_{rank}.pth')
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    results = one_and_two_processes(SCRIPT, tmp_path)
    alone, ranks = results['1_0'], (results['2_0'], results['2_1'])
    for key in ('given', 'drawn', 'pointer'):
        assert torch.equal(ranks[0][key], ranks[1][key]), key
    torch.testing.assert_close(ranks[0]['given'], alone['given'])
    assert alone['pointer'].tolist() == [36]
    for step in (0, 1):
        for key, value in alone['logs'][step].items():
            mean = sum(rank['logs'][step][key] for rank in ranks) / 2
            assert mean == pytest.approx(value, rel=1e-9), (step, key)
