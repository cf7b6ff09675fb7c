"""Two processes (gloo): detectors, a regressor per level."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import torch
from torch import distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope
from mmkd.toys import toy_batch, toy_detector

torch.set_num_threads(1)
folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
init_default_scope('mmdet')
torch.manual_seed(0)
distiller = MODELS.build(dict(
    type='mmkd.OfflineDistiller', student=toy_detector(4),
    teacher=dict(config=toy_detector(8), checkpoint=f'{folder}/teacher.pth'),
    taps=dict(pyramid='neck'),
    losses=dict(fitnet=dict(
        type='mmkd.FitNetLoss', on='pyramid', student_channels='auto',
        teacher_channels='auto'))))
if world > 1 and rank == 1:
    for parameter in distiller.losses.parameters():  # the wrapper must agree
        parameter.data.normal_()
model = distiller
if world > 1:
    model = MMDistributedDataParallel(
        distiller, broadcast_buffers=False, find_unused_parameters=False)
optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.02))
batch = toy_batch('detection', 8)
logs = []
for step in range(2):
    model.train()
    for module in distiller.modules():  # batch statistics couple the halves
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    share = 4 // world
    first = 4 * step + rank * share
    part = {k: v[first:first + share] for k, v in batch.items()}
    logs.append({
        k: float(v.detach())
        for k, v in model.train_step(part, optimizer).items()})
state = {k: v for k, v in distiller.state_dict().items()}
torch.save(dict(state=state, logs=logs), f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and logs of 1 x 4 and of 2 x 2 images, two steps."""
    pytest.importorskip('mmdet')
    from mmkd.networks import build_network
    from mmkd.toys import toy_detector

    folder = tmp_path_factory.mktemp('distributed')
    torch.manual_seed(7)
    torch.save(
        build_network(toy_detector(8)).state_dict(), folder / 'teacher.pth'
    )
    return one_and_two_processes(SCRIPT, folder)


def test_both_ranks_end_alike(results: dict[str, Any]) -> None:
    one, two = results['2_0']['state'], results['2_1']['state']
    assert one.keys() == two.keys()
    assert 'losses.fitnet.regressor.2.weight' in one
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


def test_two_processes_equal_one(results: dict[str, Any]) -> None:
    """FCOS counts its positives over all processes; so may all losses."""
    alone, ranks = results['1_0'], (results['2_0'], results['2_1'])
    for step in (0, 1):
        for key, value in alone['logs'][step].items():
            mean = sum(rank['logs'][step][key] for rank in ranks) / 2
            assert mean == pytest.approx(value, rel=1e-4), (step, key)
    for key, value in alone['state'].items():
        torch.testing.assert_close(
            ranks[0]['state'][key], value, rtol=1e-4, atol=1e-6
        )
