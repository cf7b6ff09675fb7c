"""Two processes (gloo) contrast as one does, shuffled batches and all.

Rank r holds samples r, r + 2, ...; two groups of one process are the batches
of two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from mmengine.optim import OptimWrapper
from mmkd.models.distillers.phases import PhasedDistributedDataParallel
from mmkd.utils.batch_shuffle import BatchShuffle
from tests.support.float64 import in_float64
from tests.support.toy_moco import build, mcl_config, moco_config, views

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)

def train(config):
    distiller = in_float64(build(config()))
    torch.manual_seed(100 * rank)  # the order is that of rank 0
    if rank == 1:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in distiller.parameters():
                value.add_(1)
    model = distiller
    if world > 1:
        model = PhasedDistributedDataParallel(
            distiller, broadcast_buffers=False)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    logs = []
    for step in range(4):
        model.train()
        batch = views(8, step)
        batch['inputs'] = [v[rank::world] for v in batch['inputs']]
        logs.append({k: float(v.detach())
                     for k, v in model.train_step(batch, optimizer).items()})
    return dict(state=distiller.state_dict(), logs=logs)

torch.manual_seed(0)
rows = torch.arange(8.)[rank::world]
shuffle = BatchShuffle(len(rows), rows.device)
shuffled = shuffle(rows)
torch.save(dict(
    mcl=train(mcl_config), moco=train(moco_config), rows=rows,
    shuffled=shuffled, undone=shuffle.undo(shuffled)),
    f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and logs of 1 x 8 and of 2 x 4 images, four steps."""
    folder = tmp_path_factory.mktemp('distributed')
    return one_and_two_processes(SCRIPT, folder, ROOT)


def test_samples_are_dealt_out_as_to_groups(results: dict[str, Any]) -> None:
    alone, *ranks = results.values()
    for rank, found in enumerate(ranks):
        assert torch.equal(found['shuffled'], alone['shuffled'][rank::2])
        assert torch.equal(found['undone'], found['rows'])
    assert not torch.equal(alone['shuffled'], alone['rows'])


@pytest.mark.parametrize('case', ['mcl', 'moco'])
def test_two_processes_equal_one(results: dict[str, Any], case: str) -> None:
    alone = results['1_0'][case]
    one, two = (results[name][case] for name in ('2_0', '2_1'))
    for step, wanted in enumerate(alone['logs']):
        for key, value in wanted.items():
            mean = (one['logs'][step][key] + two['logs'][step][key]) / 2
            assert mean == pytest.approx(value, rel=1e-9), (step, key)
    for key, value in alone['state'].items():
        if 'running' in key:  # each process keeps its own
            mean = (one['state'][key] + two['state'][key]) / 2
            torch.testing.assert_close(mean, value, msg=key)
            continue
        assert torch.equal(one['state'][key], two['state'][key]), key
        if key.endswith('.queue'):  # rank after rank
            order = torch.arange(8).view(4, 2).mT.flatten()
            order = torch.cat([8 * k + order for k in range(3)])
            value = value[..., order]
        torch.testing.assert_close(
            one['state'][key], value, rtol=1e-9, atol=1e-11, msg=key
        )
