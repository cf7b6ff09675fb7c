"""Two processes (gloo) take steps and meta steps of L-MCL as one does."""

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
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn
from tests.support.float64 import in_float64
from tests.support.lmcl_toy import (
    build_lmcl, lmcl_batch, main_groups, meta_hook)

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)

LABELS = [0, 1, 0, 1, 1, 0, 1, 0]
MEMORY = dict(
    type='mmkd.MemoryLayerwiseMutualContrastiveExchange', num_negatives=3,
    loss=dict(type='mmkd.MemoryLayerwiseMutualContrastiveLoss',
              num_peers=2, num_samples=9, feat_dim=8))

class Indices(nn.Module):
    # the same for a sample in every process
    classes = torch.tensor([0, 1, 0, 1, 1, 0, 1, 0, 2])

    def forward(self, index):
        columns = torch.arange(1, 4)
        return (torch.stack([index, (index + 2) % 9], 1),
                (index[:, None] * columns + 3) % 9)

def built(**changes):
    model = in_float64(build_lmcl(**changes))
    if rank == 1:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in model.parameters():
                value.add_(1)
    return model

def wrapped(model):
    if world == 1:
        return model
    return MMDistributedDataParallel(model, broadcast_buffers=False)

def halves(batch, parts, which):
    size = len(LABELS) // parts
    mine = slice(which * size, (which + 1) * size)
    return {k: v[mine] for k, v in batch.items()}

def train(**changes):
    model = built(**changes)
    exchange = model.exchanges[0]
    if hasattr(exchange, 'set_dataset_labels'):
        exchange.contrast_indices = Indices()
    whole = wrapped(model)
    optimizer = OptimWrapper(torch.optim.SGD(whole.parameters(), lr=0.01))
    logs = []
    for step in range(2):
        whole.train()
        for module in whole.modules():  # halves are one batch
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        part = halves(lmcl_batch(model, LABELS), world, rank)
        with optimizer.optim_context(whole):
            losses = whole(**part, mode='loss')
        total, found = model.parse_losses(losses)
        optimizer.update_params(total)
        logs.append({k: float(v.detach()) for k, v in found.items()})
    return dict(state=model.state_dict(), logs=logs)

def meta(own):
    model = built()
    wrapped(model)
    hook = meta_hook(model)
    batch = lmcl_batch(model, LABELS)
    groups = main_groups(model, lr=0.01)
    parts = [halves(batch, 2, k) for k in (0, 1)]
    if not own:
        hook.step(model, batch, groups)
    elif world > 1:
        hook.step(model, parts[rank], groups)
    else:  # the mean of what the two processes find
        found = [hook.gradient(model, part, groups)[0] for part in parts]
        for p, one, two in zip(
                model.exchanges[0].matching.parameters(), *found):
            p.grad = (one + two) / 2
        hook.optimizer.param_groups[0].update(lr=0.01, weight_decay=5e-4)
        hook.optimizer.step()
    return dict(state=model.state_dict(), logs=[])

results = dict(
    batch=train(loss=dict(gather=True)),
    memory=train(exchange=MEMORY),
    same=meta(False), own=meta(True))
model = build_lmcl(loss=dict(gather=True))
try:
    meta_hook(model)
    results['refused'] = ''
except ValueError as error:
    results['refused'] = str(error)
torch.save(results, f'{folder}/out_{world}_{rank}.pth')
"""
CASES = ('batch', 'memory', 'same', 'own')


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp('distributed')
    return one_and_two_processes(SCRIPT, folder, ROOT, timeout=900)


@pytest.mark.parametrize('case', CASES)
def test_two_processes_equal_one(results: dict[str, Any], case: str) -> None:
    alone = results['1_0'][case]
    one, two = (results[name][case] for name in ('2_0', '2_1'))
    for key, value in alone['state'].items():
        assert torch.equal(one['state'][key], two['state'][key]), key
        torch.testing.assert_close(
            one['state'][key], value, rtol=1e-8, atol=1e-10, msg=key
        )
    for step, logged in enumerate(alone['logs']):
        for key, value in logged.items():
            mean = (one['logs'][step][key] + two['logs'][step][key]) / 2
            assert mean == pytest.approx(value, rel=1e-8, abs=1e-10), key


def test_the_cases_differ(results: dict[str, Any]) -> None:
    """What is compared above has moved."""
    key = 'exchanges.0.matching.projections.0.0.weight'
    same, own = (
        results['1_0'][case]['state'][key] for case in ('same', 'own')
    )
    assert not torch.equal(same, own)


def test_contrast_over_processes_is_refused(results: dict[str, Any]) -> None:
    assert results['1_0']['refused'] == ''
    assert 'gather=True' in results['2_0']['refused']
