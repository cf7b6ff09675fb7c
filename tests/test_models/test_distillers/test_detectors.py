"""Detectors as student and teacher: levels, adapters, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch.nn import functional

from mmkd.inputs import image_samples
from mmkd.models.losses import PKDLoss
from tests.support.other_networks import faster_rcnn, retinanet
from tests.support.toy_runner import Diary, Interruption, make_runner

AUTO = dict(student_channels='auto', teacher_channels='auto')
FITNET = dict(type='mmkd.FitNetLoss', **AUTO)
PKD = dict(type='mmkd.PKDLoss')
BINARY = dict(type='mmkd.KLDivLoss', sigmoid=True)
SOFTMAX = dict(type='mmkd.KLDivLoss')


def wide() -> Any:
    """A RetinaNet whose pyramid has 16 channels, not 8."""
    model = retinanet(8)
    model.neck.out_channels = model.bbox_head.in_channels = 16
    return model


def short() -> Any:
    """A RetinaNet of three levels."""
    model = retinanet(8)
    model.neck.num_outs = 3
    model.bbox_head.anchor_generator.strides = [8, 16, 32]
    return model


def with_classes(count: int) -> Any:
    model = retinanet(8)
    model.bbox_head.num_classes = count
    return model


@pytest.fixture
def make(checkpoint: Any) -> Any:
    def distiller(
        loss: Any,
        tap: Any = 'neck',
        student: Any = retinanet,
        teacher: Any = retinanet,
    ) -> Any:
        theirs = teacher()
        cfg = dict(
            type='mmkd.OfflineDistiller',
            student=student(4),
            teacher=dict(config=theirs, checkpoint=checkpoint(theirs)),
            taps=dict(maps=tap),
            losses=dict(kd=dict(loss, on='maps')),
        )
        with DefaultScope.overwrite_default_scope('mmdet'):
            return ROOT_MODELS.build(cfg)

    return distiller


def test_a_regressor_per_level(make: Any, batch: Any) -> None:
    distiller = make(FITNET, teacher=wide)
    state = distiller.losses['kd'].state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        f'regressor.{k}.weight': (16, 8, 1, 1) for k in range(5)
    }
    data = batch(distiller, 'detection')
    losses = distiller.train()(**data, mode='loss')
    losses['loss_kd'].backward()
    for regressor in distiller.losses['kd'].regressor:
        assert regressor.weight.grad.abs().max() > 0
    assert distiller.student.neck.fpn_convs[4].conv.weight.grad is not None

    run = distiller.eval().observe(data['inputs']).tensors
    pairs = zip(run['student']['maps'], run['teacher']['maps'], strict=True)
    weights = [
        regressor.weight for regressor in distiller.losses['kd'].regressor
    ]
    expected = [
        functional.mse_loss(functional.conv2d(s, weight), t)
        for (s, t), weight in zip(pairs, weights, strict=True)
    ]
    found = distiller.losses['kd'](
        run['student']['maps'], run['teacher']['maps']
    )
    torch.testing.assert_close(found, torch.stack(expected).sum())


def test_sizes_per_level_and_single_maps(make: Any) -> None:
    sizes = dict(student_size='auto', teacher_size='auto')
    whole = make({**FITNET, **sizes}, teacher=wide).losses['kd'].state_dict()
    for k in range(5):
        key = f'regressor.{k}.conv.weight'
        assert tuple(whole.pop(key).shape) == (16, 8, 1, 1)
    assert all('.conv.bias' in key or '.bn.' in key for key in whole)
    single = make(FITNET, 'neck[0]', teacher=wide).losses['kd'].state_dict()
    assert list(single) == ['regressor.weight']


def pyramids(distiller: Any) -> list[list[torch.Tensor]]:
    """The maps of student and teacher for two fixed images."""
    images = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)
    samples = image_samples(distiller.student, 2, (3, 64, 64))
    found = distiller.eval().observe(images.sin(), samples).tensors
    return [found[label]['maps'] for label in ('student', 'teacher')]


def test_levels_by_index_are_the_pyramid(make: Any) -> None:
    """What the guide says of the paths."""
    tap = dict(
        student='neck[{0,1,2,3,4}]', teacher='neck.fpn_convs.{0,1,2,3,4}'
    )
    whole, parts = make(PKD), make(PKD, tap)
    parts.load_state_dict(whole.state_dict())
    for levels, others in zip(pyramids(whole), pyramids(parts), strict=True):
        assert [level.shape[2] for level in levels] == [8, 4, 2, 1, 1]
        for one, two in zip(levels, others, strict=True):
            torch.testing.assert_close(one, two)


def test_the_last_level_of_faster_rcnn_is_no_convolution(make: Any) -> None:
    distiller = make(PKD, student=faster_rcnn, teacher=faster_rcnn)
    assert len(distiller.student.neck.fpn_convs) == 4
    levels, _ = pyramids(distiller)
    assert [level.shape[2] for level in levels] == [16, 8, 4, 2, 1]
    torch.testing.assert_close(levels[4], levels[3][:, :, ::2, ::2])


def test_other_detectors_by_levels_of_equal_stride(make: Any) -> None:
    tap = dict(student='neck[{0,1,2}]', teacher='neck[{1,2,3}]')
    distiller = make(PKD, tap, teacher=faster_rcnn)
    students, teachers = pyramids(distiller)
    for student, teacher in zip(students, teachers, strict=True):
        assert student.shape == teacher.shape
    terms = map(PKDLoss(), students, teachers)
    torch.testing.assert_close(
        distiller.losses['kd'](students, teachers), torch.stack([*terms]).sum()
    )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(loss=PKD, teacher=short), r'5 student and 3 teacher.*neck\[0\]'),
        (dict(loss=FITNET, teacher=short), r'equally many levels.*neck\['),
        (dict(loss=PKD, teacher=wide), 'channels differ.*FitNetLoss'),
        (
            dict(loss=dict(type='mmkd.FitNetLoss'), teacher=wide),
            "student_channels='auto'",
        ),
        (
            dict(loss=PKD, teacher=faster_rcnn),
            'student maps 8, 16, 32, 64, 128; teacher maps 4, 8, 16, 32, 64;.*'
            "resize='teacher'",
        ),
        (
            dict(
                loss=BINARY,
                tap='bbox_head.retina_cls',
                teacher=lambda: with_classes(80),
            ),
            'num_classes: student 7, teacher 80',
        ),
        (
            dict(loss=SOFTMAX, tap='bbox_head.retina_cls'),
            'anchors x classes.* of 9 anchors.*sigmoid=True',
        ),
        (
            dict(
                loss=SOFTMAX,
                tap='rpn_head.rpn_cls',
                student=faster_rcnn,
                teacher=faster_rcnn,
            ),
            'of 3 anchors.*sigmoid=True',
        ),
        (dict(loss=PKD, tap='neck[{0,1,7}]'), 'no entry 7 in a tuple of 5'),
    ],
)
def test_what_does_not_fit(make: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    ('loss', 'tap'),
    [
        (BINARY, 'bbox_head.retina_cls'),
        (SOFTMAX, 'neck'),  # e.g. of channels
    ],
)
def test_what_fits(make: Any, loss: Any, tap: str) -> None:
    assert make(loss, tap).rehearse() is not None


def test_other_classes_do_not_matter_for_the_pyramid(make: Any) -> None:
    assert make(PKD, teacher=lambda: with_classes(80)).rehearse()


@pytest.mark.slow
def test_a_resumed_run_equals_a_straight_one(
    checkpoint: Any, tmp_path: Path
) -> None:
    teacher = wide()
    cfg = dict(
        type='mmkd.OfflineDistiller',
        student=retinanet(4),
        teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
        taps=dict(maps='neck'),
        losses=dict(kd=dict(FITNET, on='maps')),
    )
    parts = str(tmp_path / 'parts')
    straight = make_runner(str(tmp_path / 'one'), cfg, 'detection', steps=4)
    straight.train()
    with pytest.raises(Interruption):
        make_runner(
            *(parts, cfg, 'detection'),
            steps=4,
            save_every=2,
            diary=Diary(stop_after=2),
        ).train()
    resumed = make_runner(parts, cfg, 'detection', steps=4, resume=True)
    resumed.train()
    two = resumed.model.state_dict()
    assert any(key.startswith('losses.kd.regressor.4') for key in two)
    for key, value in straight.model.state_dict().items():
        assert torch.equal(value, two[key]), key
