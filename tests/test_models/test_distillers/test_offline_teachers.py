"""Several teachers, and teachers with their own normalisation."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope

from mmkd.models.distillers.normalization import Renormalize
from mmkd.models.losses import KLDivLoss
from mmkd.networks import build_network
from mmkd.toys import toy_batch, toy_network

KD = dict(type='mmkd.KLDivLoss', on='logits')
OTHER = dict(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0])


def teacher_logits(distiller: Any, index: int, images: torch.Tensor) -> Any:
    network = distiller.teachers[index].network
    with torch.no_grad():
        return network(images, None, mode='tensor')


def student_logits(distiller: Any, data: dict[str, Any]) -> Any:
    with distiller.role('student').taps.recording() as record:
        distiller.student(**copy.deepcopy(data), mode='loss')
    return record['logits'].detach()


# -- several ---------------------------------------------------------------


@pytest.fixture
def pair(build: Any, teacher_of: Any) -> Any:
    def make(**changes: Any) -> Any:
        teachers = [
            teacher_of('segmentation', 8, seed=1),
            teacher_of('segmentation', 6, seed=2),
        ]
        distiller = build(teacher=teachers, **changes)
        distiller.student.eval()
        return distiller

    return make


def test_every_teacher_has_a_share(pair: Any, batch: Any) -> None:
    distiller = pair(losses=dict(kd=dict(**KD, loss_weight=3.0)))
    data = batch(distiller)
    own = student_logits(distiller, data)
    losses = distiller(**data, mode='loss')
    assert [k for k in losses if 'kd' in k] == ['loss_kd_t0', 'loss_kd_t1']
    for index in (0, 1):
        taught = teacher_logits(distiller, index, data['inputs'])
        torch.testing.assert_close(
            losses[f'loss_kd_t{index}'].detach(),
            3.0 / 2 * KLDivLoss()(own, taught),
        )


def test_one_teacher_is_picked(pair: Any, batch: Any) -> None:
    losses = dict(a=dict(**KD, teacher=1), b=dict(**KD, teacher=0))
    distiller = pair(losses=losses)
    data = batch(distiller)
    own = student_logits(distiller, data)
    values = distiller(**data, mode='loss')
    for name, index in (('a', 1), ('b', 0)):
        taught = teacher_logits(distiller, index, data['inputs'])
        torch.testing.assert_close(
            values[f'loss_{name}'].detach(), KLDivLoss()(own, taught)
        )


def test_stateful_losses_are_not_shared(pair: Any, batch: Any) -> None:
    memory = dict(
        type='mmkd.PixelRegionMemoryLoss',
        on='feats',
        num_classes=8,
        student_channels=8,
        teacher_channels=16,
        pixel_memory_size=40,
        region_memory_size=8,
        pixel_contrast_size=16,
        region_contrast_size=16,
    )
    taps = dict(feats='decode_head.conv_seg:input')
    with pytest.raises(ValueError, match='teacher_channels=12'):
        pair(losses=dict(memory=memory), taps=taps)
    distiller = pair(losses=dict(memory=dict(memory, teacher=0)), taps=taps)
    assert set(distiller.losses) == {'memory'}


def test_dict_losses_of_several_teachers(pair: Any, batch: Any) -> None:
    loss = dict(type='mmkd.TinyExtrasLoss', on='logits')
    distiller = pair(losses=dict(x=loss))
    assert distiller.losses['x_t0'] is not distiller.losses['x_t1']
    values = distiller(**batch(distiller), mode='loss')
    got = {k: float(v.detach()) for k, v in values.items() if 'extra' in k}
    assert got == dict(
        loss_extra_a_t0=0.5,
        loss_extra_b_t0=1.0,
        loss_extra_a_t1=0.5,
        loss_extra_b_t1=1.0,
    )


def test_name_of_a_teachers_copy_is_taken(pair: Any) -> None:
    with pytest.raises(ValueError, match='losses.kd_t1 has the name'):
        pair(losses=dict(kd=KD, kd_t1=dict(**KD, teacher=0)))


def test_unused_teacher_is_no_mistake(pair: Any, batch: Any) -> None:
    distiller = pair(losses=dict(kd=dict(**KD, teacher=0)))
    assert distiller.role('teacher1').wiring.wanted == ()
    assert 'loss_kd' in distiller(**batch(distiller), mode='loss')


# -- own normalisation -----------------------------------------------------


def renormalised(task: str, **changes: Any) -> Any:
    model = toy_network(task, 8)
    model['data_preprocessor'].update(changes)
    return model


@pytest.mark.parametrize('swap', [False, True])
@pytest.mark.parametrize('task', ['classification', 'segmentation', 'pose'])
def test_teacher_sees_what_its_own_preprocessor_gives(
    build: Any, checkpoint: Any, task: str, swap: bool
) -> None:
    key = 'to_rgb' if task == 'classification' else 'bgr_to_rgb'
    model = renormalised(task, **OTHER, **{key: not swap})
    teacher = dict(config=model, checkpoint=checkpoint(model))
    student = toy_network(task, 4)
    student['data_preprocessor'].update(
        mean=[90.0, 105.0, 125.0], std=[40.0, 45.0, 55.0]
    )
    distiller = build(task, student=student, teacher=teacher)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        raw = toy_batch(task, 2)
    shown = distiller.data_preprocessor(copy.deepcopy(raw), True)['inputs']
    network = distiller.teachers[0].network
    wanted = network.data_preprocessor(copy.deepcopy(raw), True)['inputs']
    assert not torch.allclose(shown, wanted, atol=0.1)
    seen: list[torch.Tensor] = []
    network.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    distiller.teachers[0](shown)
    torch.testing.assert_close(seen[0], wanted, rtol=1e-5, atol=1e-5)


def test_images_pass_untouched_where_nothing_differs(build: Any) -> None:
    distiller = build()
    images = torch.randn(2, 3, 8, 8)
    assert distiller.teachers[0].renormalize(images) is images


def test_teacher_of_raw_pixels(build: Any, checkpoint: Any) -> None:
    """A preprocessor without mean and std means pixels of 0 to 255."""
    model = toy_network('segmentation', 8)
    preprocessor = dict(model['data_preprocessor'])
    del preprocessor['mean'], preprocessor['std']
    model['data_preprocessor'] = preprocessor
    distiller = build(teacher=dict(config=model, checkpoint=checkpoint(model)))
    pixels = torch.rand(2, 3, 8, 8) * 255
    shown = (pixels - 127.5) / 64
    torch.testing.assert_close(
        distiller.teachers[0].renormalize(shown), pixels, rtol=0, atol=1e-3
    )


def test_teacher_without_preprocessor_takes_the_students(
    build: Any, checkpoint: Any
) -> None:
    for task in ('segmentation', 'classification'):
        model = toy_network(task, 8)
        del model['data_preprocessor']
        distiller = build(
            task, teacher=dict(config=model, checkpoint=checkpoint(model))
        )
        images = torch.randn(2, 3, 8, 8)
        assert distiller.teachers[0].renormalize(images) is images


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
def test_renormalize_keeps_the_precision(dtype: torch.dtype) -> None:
    student = build_network(toy_network('segmentation', 4)).data_preprocessor
    teacher = build_network(
        renormalised('segmentation', **OTHER)
    ).data_preprocessor
    layer = Renormalize(student, teacher)
    images = torch.randn(2, 3, 4, 4, dtype=dtype)
    assert layer(images).dtype == dtype
    assert layer.half()(images).dtype == dtype


def test_grey_teacher_constants_broadcast() -> None:
    """One mean for all channels, three of the student."""
    student = build_network(toy_network('segmentation', 4)).data_preprocessor
    teacher = build_network(
        renormalised('segmentation', mean=[0.0], std=[255.0])
    ).data_preprocessor
    images = torch.randn(1, 3, 2, 2)
    torch.testing.assert_close(
        Renormalize(student, teacher)(images), (images * 64 + 127.5) / 255
    )


@pytest.mark.parametrize('count', [1, 4])
def test_teacher_of_other_channels(
    build: Any, checkpoint: Any, count: int
) -> None:
    model = renormalised('segmentation', mean=[0.0] * count, std=[1.0] * count)
    model['backbone']['in_channels'] = count
    words = f'takes images of {count} channel.*of the student have 3'
    with pytest.raises(ValueError, match=words):
        build(teacher=dict(config=model, checkpoint=checkpoint(model)))


def test_grey_student_and_teacher(build: Any, checkpoint: Any) -> None:
    def grey(width: int, mean: float) -> Any:
        model = toy_network('segmentation', width)
        model['backbone']['in_channels'] = 1
        model['data_preprocessor'].update(mean=[mean], std=[2.0])
        return model

    model = grey(8, 3.0)
    distiller = build(
        student=grey(4, 1.0),
        teacher=dict(config=model, checkpoint=checkpoint(model)),
        input_shape=(1, 32, 32),
    )
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(
        distiller.teachers[0].renormalize(images), images - 1.0
    )


def test_replaced_preprocessor_is_said(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        'mmkd.preprocessors.print_log', lambda text, **_: said.append(text)
    )
    given = dict(toy_network('segmentation', 4)['data_preprocessor'])
    build(data_preprocessor=given)
    assert not said
    build(data_preprocessor=dict(given, mean=[1.0] * 3))
    assert 'replaces that of student: mean is [1.0' in said[0]


# -- the distiller's own preprocessor --------------------------------------


@pytest.mark.parametrize('task', ['classification', 'segmentation'])
def test_preprocessor_without_type_is_completed(build: Any, task: str) -> None:
    """mmpretrain's data configs give none; its classifier adds it."""
    preprocessor = dict(toy_network(task, 4)['data_preprocessor'])
    preprocessor.update(OTHER)
    if task == 'classification':
        del preprocessor['type']
    distiller = build(task, data_preprocessor=preprocessor)
    assert distiller.data_preprocessor is distiller.student.data_preprocessor
    assert distiller.data_preprocessor.mean.flatten().tolist() == OTHER['mean']
    teacher = distiller.teachers[0]
    assert not teacher.renormalize.identity


def test_preprocessor_module(build: Any) -> None:
    module = build_network(toy_network('segmentation', 4)).data_preprocessor
    distiller = build(data_preprocessor=module)
    assert distiller.data_preprocessor is module
