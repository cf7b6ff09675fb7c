"""FFL and AFD in two processes (gloo), as in one, in float64."""

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
from torch import distributed, nn
folder, rank, world, root = (
    sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
sys.path.insert(0, root)
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmkd.models.distillers.phases import PhasedDistributedDataParallel
from mmkd.toys import toy_batch, toy_network
from tests.support.float64 import in_float64
from tests.support.toy_cohort import build_cohort

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)

def network():
    config = toy_network('classification', 4)
    config.backbone.norm_eval = True  # halves are one batch
    return config

ON = dict(feats='feats', logits='logits')
CASES = dict(
    ffl=dict(type='mmkd.FeatureFusionExchange', on=ON, ramp_epochs=0),
    afd=dict(type='mmkd.AdversarialFeatureExchange', on=ON,
             discriminator=dict(norm=False)))

def train(name):
    distiller = in_float64(build_cohort(
        peers=[network(), network()], exchange=CASES[name],
        taps=dict(feats='backbone.layer4', logits='head.fc')))
    if name == 'ffl':
        fusion = distiller.exchanges[0].fusion
        fusion.depthwise_norm = fusion.pointwise_norm = nn.Identity()
    if rank == 1:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in distiller.parameters():
                value.add_(1)
    wrapper = (
        PhasedDistributedDataParallel if name == 'afd'
        else MMDistributedDataParallel)
    model = distiller
    if world > 1:
        model = wrapper(distiller, broadcast_buffers=False)
    if name == 'afd':
        adam = dict(optimizer=dict(type='Adam', lr=1e-3, weight_decay=0.1))
        optimizer = build_optim_wrapper(model, dict(
            constructor='mmkd.PhasedOptimWrapperConstructor',
            main=dict(optimizer=dict(type='SGD', lr=0.05)),
            discriminator=dict(adam), adversarial=dict(adam)))
    else:
        optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05))
    batch = toy_batch('classification', 12, (32, 32))
    logs = []
    for step in range(3):
        model.train()
        share = 4 // world
        first = 4 * step + rank * share
        part = {k: v[first:first + share] for k, v in batch.items()}
        logs.append({k: float(v.detach())
                     for k, v in model.train_step(part, optimizer).items()})
    return dict(state=distiller.state_dict(), logs=logs)

torch.save({name: train(name) for name in CASES},
           f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and logs of 1 x 4 and of 2 x 2 images, three steps."""
    folder = tmp_path_factory.mktemp('distributed')
    return one_and_two_processes(SCRIPT, folder, ROOT)


@pytest.mark.parametrize('case', ['ffl', 'afd'])
def test_two_processes_equal_one(results: dict[str, Any], case: str) -> None:
    alone = results['1_0'][case]
    one, two = (results[name][case] for name in ('2_0', '2_1'))
    module = dict(ffl='fusion.fc.weight', afd='discriminator.1.conv1.weight')
    assert f'exchanges.0.{module[case]}' in alone['state']
    for key, value in alone['state'].items():
        assert torch.equal(one['state'][key], two['state'][key]), key
        torch.testing.assert_close(
            one['state'][key], value, rtol=1e-9, atol=1e-11, msg=key
        )
    for step in range(3):
        for key, value in alone['logs'][step].items():
            mean = (one['logs'][step][key] + two['logs'][step][key]) / 2
            wanted = pytest.approx(value, rel=1e-9, abs=1e-11)
            assert mean == wanted, (step, key)
