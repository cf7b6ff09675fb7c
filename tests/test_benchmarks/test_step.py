"""benchmarks/step.py: both steps do the same, the report is complete."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from benchmarks import step as benchmark
from benchmarks.cases.distillers import build_distiller
from benchmarks.cases.steps_by_hand import (
    exchange_step,
    offline_step,
    online_step,
)
from benchmarks.measure import steps
from mmkd.registry import MODELS
from mmkd.toys import toy_batch
from tests.support import hssakd_toy
from tests.support.float64 import in_float64

ROOT = Path(__file__).parents[2]


@pytest.fixture
def distiller(toy):
    pytest.importorskip('mmseg')
    model = Config.fromfile(toy.distiller).model
    model.taps.feats = 'decode_head.conv_seg:input'
    model.losses.pairs = dict(
        type='mmkd.MiniBatchPixelRelationLoss', on='feats'
    )
    return MODELS.build(model).train()


def test_step_by_hand_does_what_the_distiller_does(distiller):
    batch = toy_batch('segmentation', 2, size=(32, 32))
    changed = compare_steps(distiller, offline_step, batch)
    assert 'student.backbone.conv1.weight' in changed


def compare_steps(distiller, by_hand_step, batch, options=None):
    """Compare weights after a step; returns the names of changed ones.

    In float64: what float32 gives depends on the processor.
    """
    in_float64(distiller)
    by_hand = copy.deepcopy(distiller)
    options = options or dict(optimizer=dict(type='SGD', lr=0.1))
    before = copy.deepcopy(distiller.state_dict())
    make = {steps.train_step: distiller, by_hand_step: by_hand}
    for step, model in make.items():
        optimizer = build_optim_wrapper(model, copy.deepcopy(options))
        torch.manual_seed(3)  # of the dropout
        step(model, optimizer, batch)()
    after = distiller.state_dict()
    for key, value in by_hand.state_dict().items():
        torch.testing.assert_close(value, after[key], rtol=1e-10, atol=1e-12)
    return [key for key in after if not torch.equal(after[key], before[key])]


TREE = dict(
    shared=[['stem', 'stage1'], ['stage2']],
    tree=[[0, 1], [2, 3]],
    scale_gradient=True,
)


@pytest.mark.parametrize(
    ('count', 'options'),
    [(2, dict()), (3, dict(shared=['stem', 'stage1'])), (4, TREE)],
    ids=['separate', 'branches', 'tree'],
)
@pytest.mark.parametrize('contrast', [False, True])
def test_peers_by_hand(cohort_config, count, options, contrast):
    model = Config.fromfile(cohort_config).model
    model.cohort.update(peers=model.cohort.peers[:1] * count, **options)
    if not contrast:
        del model['aux_heads']
        model['taps'] = dict(logits='head.fc')
        model['exchange'] = dict(type='mmkd.MutualExchange', temperature=2.0)
    torch.manual_seed(0)
    cohort = MODELS.build(model).train()
    batch = toy_batch('classification', 8, size=(32, 32))
    changed = compare_steps(cohort, online_step, batch)
    for k in range(count):
        assert f'cohort.peers.{k}.backbone.conv1.weight' in changed
        assert f'cohort.peers.{k}.head.fc.weight' in changed


@pytest.mark.parametrize('name', ['toy_teacher_joint', 'toy_online_x2'])
def test_views_by_hand(name):
    config = Config.fromfile(ROOT / 'configs' / 'hssakd' / f'{name}.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = MODELS.build(config.model).train()
    batch = toy_batch('classification', 4, size=(32, 32))
    step = online_step if 'online' in name else offline_step
    changed = compare_steps(distiller, step, batch)
    assert any('branches.0.layer3' in key for key in changed)
    assert any(key.endswith('backbone.conv1.weight') for key in changed)


@pytest.mark.parametrize('name', ['ffl/toy_ffl', 'afd/toy_afd'])
def test_fused_and_phased_steps_by_hand(name):
    config = Config.fromfile(ROOT / f'configs/{name}.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = MODELS.build(config.model).train()
    batch = toy_batch('classification', 4, size=(32, 32))
    options = config.optim_wrapper
    changed = compare_steps(distiller, online_step, batch, options)
    parts = ('fusion.fc',) if 'ffl' in name else ('discriminator.1.conv1',)
    for part in (*parts, 'cohort.peers.1.backbone.layer3'):
        assert any(part in key for key in changed), part


@pytest.mark.parametrize('name', ['pcl/toy_pcl', 'oem/toy_oem'])
def test_views_followers_and_students_by_hand(name):
    config = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    model = dict(config.model, data_preprocessor=config.data_preprocessor)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = MODELS.build(model).train()
    batch = toy_batch('classification', 4, size=(32, 32))
    changed = compare_steps(distiller, online_step, batch)
    for k in range(3):
        assert f'cohort.peers.{k}.backbone.layer3.0.conv1.weight' in changed
    copied = 'followers.mean.networks.2.head.fc.weight'
    assert (copied in changed) == ('pcl' in name)


def test_losses_of_the_exchange_alone(cohort_config):
    cohort = MODELS.build(Config.fromfile(cohort_config).model).train()
    step = exchange_step(cohort, toy_batch('classification', 8, size=(32, 32)))
    ran = []
    for peer in cohort.cohort.peers:
        peer.register_forward_hook(lambda *args: ran.append(1))
    assert steps.kept_bytes(step, []) > 0
    assert not ran
    assert all(p.grad is None for p in cohort.parameters())


def test_kept_bytes_counts_each_storage_once():
    weight = torch.nn.Parameter(torch.ones(4))
    data = torch.ones(1000, 4, requires_grad=True)

    def step():
        (data * weight).pow(2).sum().backward()

    # `data` for the weight's gradient and the product for that of the square
    assert steps.kept_bytes(step, [weight]) == 2 * 1000 * 4 * 4


def test_ratio_compares_rounds():
    result = steps.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0])
    assert result == dict(min=2.0, paired=2.0)


def test_report(toy, capsys):
    toy.teacher.unlink()
    out = toy.folder / 'step.json'
    shape = ['--input-shape', '3', '32', '32']
    benchmark.main(
        [str(toy.distiller), '--steps', '1', '--json', str(out), *shape]
    )
    text = capsys.readouterr().out
    assert 'random teacher' in text
    result = json.loads(out.read_text())
    assert result['input_shape'] == [3, 32, 32]
    assert set(result['costs']) == {'alone', 'distiller', 'hand'}
    teacher = result['teacher']
    assert teacher['weights_bytes'] > 0
    assert teacher['gradients'] == 0
    assert teacher['in_optimizer'] == 0
    assert teacher['in_checkpoint'] == 0
    costs = result['costs']
    assert costs['distiller']['kept_bytes'] == costs['hand']['kept_bytes']
    assert 0 < result['ratio']['min'] < 10


def test_report_of_a_cohort(cohort_config, tmp_path, capsys):
    out = tmp_path / 'step.json'
    benchmark.main([str(cohort_config), '--steps=1', f'--json={out}'])
    assert '2 peers' in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result['batch'] == 4
    assert 'teacher' not in result
    costs = result['costs']
    assert costs['distiller']['kept_bytes'] == costs['hand']['kept_bytes']
    assert costs['alone']['kept_bytes'] < costs['hand']['kept_bytes']
    assert 0 < result['ratio']['min'] < 10


def test_plain_config_is_refused(toy, error_line):
    line = error_line(benchmark.main, toy.student)
    assert 'model.student' in line


def test_random_teacher_has_branches(tmp_path):
    pytest.importorskip('mmpretrain')
    settings = hssakd_toy.config('student', tmp_path)
    (tmp_path / 'teacher.pth').unlink()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = build_distiller(settings).train()
    assert len(distiller.teachers[0].aux_heads['joint'].branches) == 3
    batch = toy_batch('classification', 2, size=(32, 32))
    changed = compare_steps(distiller, offline_step, batch)
    assert any(key.startswith('aux_heads.joint') for key in changed)
