"""Two processes (gloo) solve puzzles, and distil poses, as one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytest.importorskip('mmpose')
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
import torch
from torch import distributed, nn
folder, rank, world, root = (
    sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
sys.path.insert(0, root)
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_batch, toy_pose_estimator
from tests.test_models.test_pretrainers.test_hsjp_pretraining import (
    puzzle_network, puzzle_pipeline)

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
init_default_scope('mmpose')

def lively(network):
    # Untrained, without batch statistics, maps would be nearly flat.
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data.mul_(0.9)
    return network

def puzzles():
    return lively(build_network(puzzle_network(4))), puzzle_pipeline()

def distillation():
    teacher = toy_pose_estimator(8)
    path = f'{folder}/teacher_{world}_{rank}.pth'
    torch.save(lively(build_network(teacher)).state_dict(), path)
    distiller = MODELS.build(dict(
        type='mmkd.OfflineDistiller', student=toy_pose_estimator(4),
        teacher=dict(config=teacher, checkpoint=path),
        taps=dict(heatmaps='head.final_layer'),
        losses=dict(
            mse=dict(type='mmpose.KeypointMSELoss', on='heatmaps',
                     use_target_weight=False),
            kl=dict(type='mmkd.PixelwiseKLLoss', on='heatmaps',
                    temperature=0.1))))
    lively(distiller.student)
    return distiller, None

def train(case):
    torch.manual_seed(0)
    own, pipeline = dict(puzzles=puzzles, distillation=distillation)[case]()
    before = {k: v.clone() for k, v in own.state_dict().items()}
    if rank == 1:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in own.parameters():
                if value.requires_grad:
                    value.add_(1)
    model = own
    if world > 1:
        model = MMDistributedDataParallel(own, broadcast_buffers=False)
    optimizer = OptimWrapper(torch.optim.SGD(own.parameters(), lr=0.1))
    data = {} if pipeline is None else dict(pipeline=pipeline)
    batch = toy_batch('pose', 12, **data)
    logs = []
    for step in range(3):
        model.train()
        for module in own.modules():  # batch statistics couple the halves
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        share = 4 // world
        first = 4 * step + rank * share
        part = {k: v[first:first + share] for k, v in batch.items()}
        logs.append({k: float(v.detach())
                     for k, v in model.train_step(part, optimizer).items()
                     if 'loss' in k})
    return dict(before=before, state=own.state_dict(), logs=logs)

torch.save({case: train(case) for case in ('puzzles', 'distillation')},
           f'{folder}/out_{world}_{rank}.pth')
"""
LOSSES = dict(
    puzzles={'loss', 'loss_kpt'},
    distillation={'loss', 'loss_kpt', 'loss_mse', 'loss_kl'},
)


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and losses of 1 x 4 and of 2 x 2 people, three steps."""
    folder = tmp_path_factory.mktemp('distributed')
    return one_and_two_processes(SCRIPT, folder, ROOT, timeout=900)


@pytest.mark.parametrize('case', LOSSES)
def test_two_processes_equal_one(results: dict[str, Any], case: str) -> None:
    alone = results['1_0'][case]
    one, two = (results[name][case] for name in ('2_0', '2_1'))
    for key, value in alone['state'].items():
        assert torch.equal(one['state'][key], two['state'][key]), key
        before = alone['before'][key].double()
        change = (value - before).norm()
        if key.endswith('weight'):
            assert change > 1e-5 * before.norm(), key
        error = (one['state'][key] - value).double().norm()
        assert error <= 0.01 * change, key
    for step in range(3):
        logs = (one['logs'][step], two['logs'][step])
        assert alone['logs'][step].keys() == LOSSES[case]
        assert logs[0]['loss'] != logs[1]['loss']  # of different people
        for key, value in alone['logs'][step].items():
            mean = (logs[0][key] + logs[1][key]) / 2
            assert mean == pytest.approx(value, rel=1e-3), (step, key)
