"""OKDHP in two processes (gloo), as in one, in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
import torch
from torch import distributed
folder, rank, world, root = (
    sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
sys.path.insert(0, root)
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmkd.toys import toy_batch
from tests.support.float64 import in_float64
from tests.support.toy_hourglass import SIZE, build_okdhp, without_norms

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
distiller = in_float64(without_norms(build_okdhp()))
if rank == 1:  # the wrapper must make the ranks agree
    with torch.no_grad():
        for value in distiller.parameters():
            value.add_(1)
model = distiller
if world > 1:
    model = MMDistributedDataParallel(distiller, broadcast_buffers=False)
optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05))
with DefaultScope.overwrite_default_scope('mmpose'):
    batch = toy_batch('pose', 12, SIZE)
logs = []
for step in range(3):
    model.train()
    share = 4 // world
    first = 4 * step + rank * share
    part = {k: v[first:first + share] for k, v in batch.items()}
    logs.append({k: float(v.detach())
                 for k, v in model.train_step(part, optimizer).items()})
torch.save(dict(state=distiller.state_dict(), logs=logs),
           f'{folder}/out_{world}_{rank}.pth')
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    found = one_and_two_processes(SCRIPT, tmp_path, ROOT)
    alone, one, two = (found[name] for name in ('1_0', '2_0', '2_1'))
    assert 'exchanges.0.aggregation.fc.weight' in alone['state']
    for key, value in alone['state'].items():
        assert torch.equal(one['state'][key], two['state'][key]), key
        torch.testing.assert_close(
            one['state'][key], value, rtol=1e-9, atol=1e-11, msg=key
        )
    for step, values in enumerate(alone['logs']):
        for key in (k for k in values if 'loss' in k):
            mean = (one['logs'][step][key] + two['logs'][step][key]) / 2
            wanted = pytest.approx(values[key], rel=1e-9, abs=1e-11)
            assert mean == wanted, (step, key)
