"""Two processes (gloo) train a patch classifier as one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytest.importorskip('mmpretrain')
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
from mmpretrain.structures import DataSample
from tests.support.patch_networks import build, images, patch_classifier

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
own = build(patch_classifier())
for module in own.modules():  # statistics of a batch differ by its size
    if isinstance(module, nn.BatchNorm2d):
        module.momentum = 0.0
        module.forward = lambda x, m=module: nn.functional.batch_norm(
            x, m.running_mean, m.running_var, m.weight, m.bias)
own.train()
model = own
if world > 1:
    model = MMDistributedDataParallel(own, broadcast_buffers=False)
optimizer = OptimWrapper(torch.optim.SGD(own.parameters(), lr=0.1))
x, labels = images(8), [0, 1, 2, 0, 2, 2, 1, 0]
mine = slice(rank * 8 // world, (rank + 1) * 8 // world)
losses = []
for step in range(2):
    samples = [DataSample().set_gt_label(k) for k in labels[mine]]
    with optimizer.optim_context(model):
        found = model(x[mine], samples, mode='loss')
    loss = found['loss']
    losses.append(float(loss.detach()))
    optimizer.update_params(loss)
torch.save(
    dict(losses=torch.tensor(losses), state=own.state_dict()),
    f'{folder}/out_{world}_{rank}.pth')
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    found = one_and_two_processes(SCRIPT, tmp_path, ROOT, timeout=900)
    mean = (found['2_0']['losses'] + found['2_1']['losses']) / 2
    torch.testing.assert_close(mean, found['1_0']['losses'])
    for rank in ('2_0', '2_1'):
        state = found[rank]['state']
        for key, value in found['1_0']['state'].items():
            torch.testing.assert_close(state[key], value, msg=key)
