"""Two processes (gloo): CIRKD under mmengine's distributed wrapper."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytestmark = pytest.mark.slow

SCRIPT = """
import copy, sys
import torch
from torch import distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope
from mmkd.toys import toy_batch, toy_segmentor

torch.set_num_threads(1)
folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
init_default_scope('mmseg')

def network(width):
    # Without dropout and batch statistics, two halves are one batch.
    model = toy_segmentor(width)
    model['decode_head']['dropout_ratio'] = 0
    model['backbone']['norm_eval'] = True
    return model

torch.manual_seed(0)
memory = dict(
    type='mmkd.PixelRegionMemoryLoss', on='feats', num_classes=8,
    student_channels=8, teacher_channels=16, pixel_memory_size=60,
    region_memory_size=8, pixel_contrast_size=8 * 59,
    region_contrast_size=8 * 7, pixel_loss_weight=0.0)
distiller = MODELS.build(dict(
    type='mmkd.OfflineDistiller', student=network(4),
    teacher=dict(config=network(8), checkpoint=f'{folder}/teacher.pth'),
    taps=dict(feats='decode_head.conv_seg:input',
              logits='decode_head.conv_seg'),
    losses=dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits'),
        minibatch=dict(type='mmkd.MiniBatchPixelRelationLoss', on='feats',
                       group_size=2),
        memory=memory)))
if world > 1 and rank == 1:
    # Other numbers on this rank: the wrapper and the queues must agree.
    torch.manual_seed(99)
    for queue in ('pixel_queue', 'region_queue'):
        getattr(distiller.losses['memory'], queue).normal_()
model = distiller
if world > 1:
    model = MMDistributedDataParallel(
        distiller, broadcast_buffers=False, find_unused_parameters=False)
optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.02))
batch = toy_batch('segmentation', 12)
logs = []
for step in range(3):
    model.train()
    for module in distiller.modules():  # batch statistics couple the halves
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    torch.manual_seed(1000 + step)
    share = 4 // world
    first = 4 * step + rank * share
    part = {k: v[first:first + share] for k, v in batch.items()}
    logs.append({
        k: float(v.detach())
        for k, v in model.train_step(part, optimizer).items()})
torch.save(dict(state=distiller.state_dict(), logs=logs),
           f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and logs of 1 x 4 and of 2 x 2 images, three steps."""
    from mmkd.networks import build_network
    from mmkd.toys import toy_segmentor

    folder = tmp_path_factory.mktemp('distributed')
    torch.manual_seed(7)
    torch.save(
        build_network(toy_segmentor(8)).state_dict(), folder / 'teacher.pth'
    )
    return one_and_two_processes(SCRIPT, folder)


def test_both_ranks_end_alike(results: dict[str, Any]) -> None:
    one, two = results['2_0']['state'], results['2_1']['state']
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key
    assert one['losses.memory.pixel_ptr'].sum() > 0


def test_two_processes_equal_one(results: dict[str, Any]) -> None:
    """All regions are compared with, so nothing drawn has a weight."""
    alone, ranks = results['1_0'], (results['2_0'], results['2_1'])
    for key in ('losses.memory.region_ptr', 'losses.memory.pixel_ptr'):
        assert torch.equal(alone['state'][key], ranks[0]['state'][key]), key
    torch.testing.assert_close(
        alone['state']['losses.memory.region_queue'],
        ranks[0]['state']['losses.memory.region_queue'],
    )
    for step in (0, 1, 2):
        for key, value in alone['logs'][step].items():
            mean = sum(rank['logs'][step][key] for rank in ranks) / 2
            assert mean == pytest.approx(value, rel=1e-4), (step, key)


def test_gradients_are_averaged(results: dict[str, Any]) -> None:
    one, two = results['1_0']['state'], results['2_0']['state']
    for key, value in one.items():
        if 'pixel_queue' not in key:
            torch.testing.assert_close(value, two[key], rtol=1e-4, atol=1e-5)
