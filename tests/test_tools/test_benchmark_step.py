"""tools/benchmark_step.py: both steps do the same, the report is complete."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmkd.registry import MODELS
from mmkd.testing import step_benchmark, toy_batch


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
    by_hand = copy.deepcopy(distiller)
    batch = toy_batch('segmentation', 2, size=(32, 32))
    options = dict(optimizer=dict(type='SGD', lr=0.1))
    before = copy.deepcopy(distiller.state_dict())
    for name, model in (('distiller', distiller), ('hand', by_hand)):
        optimizer = build_optim_wrapper(model, copy.deepcopy(options))
        make = getattr(step_benchmark, f'{name}_step')
        torch.manual_seed(3)  # of the dropout
        make(model, optimizer, batch)()
    after = distiller.state_dict()
    changed = [
        key for key in after if not torch.equal(after[key], before[key])
    ]
    assert 'student.backbone.conv1.weight' in changed
    for key, value in by_hand.state_dict().items():
        torch.testing.assert_close(value, after[key], rtol=1e-6, atol=1e-7)


def test_kept_bytes_counts_each_storage_once():
    weight = torch.nn.Parameter(torch.ones(4))
    data = torch.ones(1000, 4, requires_grad=True)

    def step():
        (data * weight).pow(2).sum().backward()

    # `data` for the weight's gradient and the product for that of the square
    assert step_benchmark.kept_bytes(step, [weight]) == 2 * 1000 * 4 * 4


def test_ratio_compares_rounds():
    result = step_benchmark.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0])
    assert result == dict(min=2.0, paired=2.0)


def test_report(toy, tool, capsys):
    toy.teacher.unlink()
    out = toy.folder / 'step.json'
    shape = ['--input-shape', '3', '32', '32']
    tool('benchmark_step').main(
        [str(toy.distiller), '--steps', '1', '--json', str(out), *shape]
    )
    text = capsys.readouterr().out
    assert 'random teacher' in text
    result = json.loads(out.read_text())
    assert result['input_shape'] == [3, 32, 32]
    assert set(result['costs']) == {'student', 'distiller', 'hand'}
    teacher = result['teacher']
    assert teacher['weights_bytes'] > 0
    assert teacher['gradients'] == 0
    assert teacher['in_optimizer'] == 0
    assert teacher['in_checkpoint'] == 0
    costs = result['costs']
    assert costs['distiller']['kept_bytes'] == costs['hand']['kept_bytes']
    assert 0 < result['ratio']['min'] < 10


def test_plain_config_is_refused(toy, tool, error_line):
    line = error_line(tool('benchmark_step').main, toy.student)
    assert 'model.student' in line
