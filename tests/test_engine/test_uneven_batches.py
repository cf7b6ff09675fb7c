"""Last batches of unlike sizes on two processes (gloo), by the tools' runner.

13 images are 7 on the first process and 6 on the second: in batches of four,
the last ones have three and two.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmkd.networks import build_network
from mmkd.toys import toy_classifier
from tests.support.two_processes import one_and_two_processes

pytest.importorskip('mmpretrain')
pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
import torch
from torch import distributed
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS
from mmkd.cli.runner import build_runner
from mmkd.toys import toy_classifier, toy_dataset

torch.set_num_threads(1)
folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kind = sys.argv[4]
if world > 1:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
os.environ['LOCAL_RANK'] = str(rank)

def network(width=4):
    model = toy_classifier(width)
    model['backbone']['norm_eval'] = True  # no batch statistics
    return model

common = dict(taps=dict(logits='head.fc'), input_shape=(3, 32, 32))
if kind == 'offline':
    model = dict(
        type='mmkd.OfflineDistiller', student=network(), **common,
        teacher=dict(config=network(8), checkpoint=f'{folder}/teacher.pth'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')))
else:
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[network(), network()]),
        exchange=dict(type='mmkd.MutualExchange', on='logits'),
        **common)

@METRICS.register_module()
class Seen(BaseMetric):
    def process(self, batch, samples):
        self.results += [int(s['sample_idx']) for s in samples]

    def compute_metrics(self, results):
        seen.extend(results)
        return dict(count=len(results))

class Raw(Hook):
    priority = 'HIGHEST'

    def after_train_iter(
            self, runner, batch_idx, data_batch=None, outputs=None):
        raw.append((len(data_batch['inputs']), float(outputs['loss'])))

class Logged(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, *_, **__):
        scalar = runner.message_hub.get_scalar('train/loss')
        logged.append(float(scalar.current()))

raw, logged, seen = [], [], []
images = int(sys.argv[5])
data = toy_dataset('classification', images, size=(32, 32))
loader = dict(
    batch_size=4, num_workers=0, drop_last=False, dataset=data,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
checked = dict(loader, sampler=dict(type='DefaultSampler', shuffle=False))
runner = build_runner(Config(dict(
    default_scope='mmpretrain', model=model, work_dir=f'{folder}/{world}',
    launcher='pytorch' if world > 1 else 'none',
    train_dataloader=loader, val_dataloader=checked,
    val_evaluator=dict(type='Seen'), val_cfg=dict(),
    train_cfg=dict(by_epoch=True, max_epochs=1),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
    randomness=dict(seed=0), log_level='ERROR')))
runner._hooks.insert(0, Raw())
runner.register_hook(Logged())
error = ''
try:
    runner.train()
except ValueError as stopped:
    error = str(stopped)
torch.save(
    dict(raw=raw, error=error, logged=logged, seen=seen,
         state=runner.model.state_dict(),
         count=None if error else
         runner.message_hub.get_scalar('val/count').current()),
    f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.mark.parametrize('kind', ['offline', 'online'])
def test_last_batches_of_unlike_sizes(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    teacher = build_network(toy_classifier(8))
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')
    runs = one_and_two_processes(SCRIPT, tmp_path, kind, '13')
    one, first, second = runs['1_0'], runs['2_0'], runs['2_1']
    sizes = {name: [n for n, _ in run['raw']] for name, run in runs.items()}
    assert sizes == {'1_0': [4, 4, 4, 1], '2_0': [4, 3], '2_1': [4, 2]}
    assert one['logged'] == [loss for _, loss in one['raw']]
    # the log has the mean of the processes, on each of them
    pairs = zip(first['raw'], second['raw'], strict=True)
    wanted = [(a + b) / 2 for (_, a), (_, b) in pairs]
    assert first['logged'] == second['logged'] == pytest.approx(wanted)
    assert first['logged'] != [loss for _, loss in first['raw']]
    for key, value in first['state'].items():
        assert torch.equal(second['state'][key], value), key
    # an evaluation counts every image once
    assert sorted(one['seen']) == sorted(first['seen']) == list(range(13))
    assert one['count'] == first['count'] == 13


def test_unlike_numbers_of_batches(tmp_path: Path) -> None:
    """Nine images are five and four: two batches of four, and one."""
    runs = one_and_two_processes(SCRIPT, tmp_path, 'online', '9')
    assert runs['1_0']['error'] == '' and len(runs['1_0']['raw']) == 3
    for rank in ('2_0', '2_1'):
        assert 'batches on the processes: 2, 1;' in runs[rank]['error']
        assert 'round_up=True' in runs[rank]['error']
        assert runs[rank]['raw'] == []
