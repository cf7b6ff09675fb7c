"""Configs of an offline distiller that do not fit: one clear message each."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from mmkd.registry import MODELS
from mmkd.toys import toy_network, toy_segmentor

KD = dict(type='mmkd.KLDivLoss', on='logits')


def check_refused(
    build: Any, error: type[Exception], *parts: str, **changes: Any
) -> None:
    with pytest.raises(error) as info:
        build(**changes)
    for part in parts:
        assert part in str(info.value), str(info.value)


# -- inherited keys --------------------------------------------------------


@pytest.mark.parametrize('key', ['backbone', 'decode_head', 'test_cfg'])
def test_without_delete(build: Any, key: str) -> None:
    check_refused(
        build,
        ValueError,
        f'keys of an ordinary network: {key}',
        '_delete_=True',
        'student=_base_.model',
        **{key: dict(type='X')},
    )


def test_unknown_key(build: Any) -> None:
    check_refused(build, TypeError, 'does not know model.loss', loss={})


# -- taps ------------------------------------------------------------------


def test_unknown_tap_of_the_student(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'tap logits="decode_head.conv_sg"',
        'nearest: decode_head.conv_seg',
        taps=dict(logits='decode_head.conv_sg'),
    )


def test_unknown_tap_of_the_teacher(build: Any) -> None:
    paths = dict(student='decode_head.conv_seg', teacher='decode_head.conv_sg')
    check_refused(
        build,
        KeyError,
        'tap logits="decode_head.conv_sg"',
        taps=dict(logits=paths),
    )


def test_unknown_side(build: Any) -> None:
    paths = dict(student='decode_head.conv_seg', techer='decode_head.conv_seg')
    check_refused(
        build,
        KeyError,
        'write dict(student=..., teacher=...)',
        taps=dict(logits=paths),
    )


@pytest.mark.parametrize('side', ['student', 'teacher'])
def test_tap_of_one_side_read_on_the_other(build: Any, side: str) -> None:
    other = dict(student='teacher', teacher='student')[side]
    check_refused(
        build,
        KeyError,
        f'reads "logits" of the {other}',
        f'add {other}="module.path"',
        taps=dict(logits={side: 'decode_head.conv_seg'}),
    )


def test_tap_for_the_teacher_alone_need_not_exist_in_the_student(
    build: Any,
) -> None:
    taps = dict(s='decode_head.conv_seg', t='decode_head.aspp_modules.0')
    student = toy_segmentor(4)
    student['decode_head'] = dict(
        type='FCNHead',
        in_channels=32,
        in_index=3,
        channels=16,
        num_convs=1,
        num_classes=16,
    )
    kd = dict(type='mmkd.TinyMSELoss', on=dict(student='s', teacher='t'))
    distiller = build(student=student, taps=taps, losses=dict(kd=kd))
    assert list(distiller.role('student').taps.paths) == ['s']


# -- losses ----------------------------------------------------------------


def test_loss_without_on(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'losses.kd has no key "on"',
        losses=dict(kd=dict(type='mmkd.KLDivLoss')),
    )


def test_loss_on_unknown_name(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'losses read "logit"',
        'known: feats, logits',
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logit')),
    )


def test_unknown_key_in_on(build: Any) -> None:
    on = dict(student='logits', techer='logits')
    check_refused(
        build,
        KeyError,
        'losses.kd',
        'techer',
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on=on)),
    )


@pytest.mark.parametrize(
    'on',
    [
        ['feats', 'logits'],  # not the student's own two tensors
        dict(student=['feats', 'logits'], teacher='logits'),
        dict(student='logits'),
        ['feats', 'logits', 'feats'],
    ],
)
def test_wrong_number_of_tensors(build: Any, on: Any) -> None:
    check_refused(
        build,
        TypeError,
        'losses.kd: KLDivLoss.forward needs 2 value(s) '
        '(student_logits, teacher_logits)',
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on=on)),
    )


def test_value_that_cannot_be_supplied(build: Any) -> None:
    @MODELS.register_module(force=True)
    class TinyGreedyLoss(torch.nn.Module):
        def forward(self, student: Any, teacher: Any, weather: Any) -> Any:
            return student.sum()

    check_refused(
        build,
        TypeError,
        'needs 3 value(s) (student, teacher, weather)',
        'by name the distiller can supply epoch, iteration, labels',
        losses=dict(kd=dict(type='mmkd.TinyGreedyLoss', on='logits')),
    )


def test_view_labels_need_views(build: Any) -> None:
    check_refused(
        build,
        TypeError,
        'TinyJointLoss.forward asks for view_labels',
        'add views=',
        losses=dict(kd=dict(type='mmkd.TinyJointLoss', on='logits')),
        teacher=None,
    )


def test_loss_that_needs_a_teacher(build: Any) -> None:
    check_refused(
        build,
        TypeError,
        'losses.kd: KLDivLoss.forward takes student_logits, teacher_logits',
        'teacher=None',
        teacher=None,
    )


@pytest.mark.parametrize('index', [1, -1])
def test_teacher_number_out_of_range(build: Any, index: int) -> None:
    check_refused(
        build,
        ValueError,
        f'losses.kd: teacher={index}, but there are 1 teachers',
        losses=dict(kd=dict(**KD, teacher=index)),
    )


def test_unknown_loss_lists_the_nearest(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'mmkd.KLDivLos',
        'KLDivLoss',
        losses=dict(kd=dict(type='mmkd.KLDivLos', on='logits')),
    )


def test_own_loss_name_is_taken(build: Any, batch: Any) -> None:
    distiller = build('detection', losses=dict(cls=_mse()))
    with pytest.raises(KeyError, match='losses.cls gives .*loss_cls'):
        distiller(**batch(distiller, 'detection'), mode='loss')


def test_two_losses_with_the_same_log_name(build: Any, batch: Any) -> None:
    extras = dict(type='mmkd.TinyExtrasLoss', on='logits')
    losses = dict(a=extras, b=extras)
    with pytest.raises(KeyError, match='losses.b gives .*already taken'):
        build(losses=losses)
    unrehearsed = build(losses=losses, dry_run=False)
    with pytest.raises(KeyError, match='losses.b gives .*already taken'):
        unrehearsed(**batch(unrehearsed), mode='loss')


def test_loss_that_returns_something_else(build: Any, batch: Any) -> None:
    @MODELS.register_module(force=True)
    class TinyOddLoss(torch.nn.Module):
        def forward(self, student: Any, teacher: Any) -> Any:
            return dict(kl=student.sum())

    check_refused(
        build,
        ValueError,
        'must return a tensor or a dict of tensors named "loss_..."',
        losses=dict(kd=dict(type='mmkd.TinyOddLoss', on='logits')),
    )


def _mse() -> dict[str, Any]:
    return dict(type='mmkd.TinyMSELoss', on='logits')


# -- auxiliary heads -------------------------------------------------------


def test_aux_head_without_on(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'aux_heads.joint has no key "on"',
        aux_heads=dict(joint=dict(type='mmkd.TinyBranch')),
    )


def test_aux_head_nobody_reads(build: Any) -> None:
    head = dict(
        type='mmkd.TinyBranch', on='feats', in_channels=32, out_channels=3
    )
    check_refused(
        build,
        ValueError,
        'aux_heads.joint is read by no loss',
        aux_heads=dict(joint=head),
    )


def test_aux_head_on_unknown_tap(build: Any) -> None:
    check_refused(
        build,
        KeyError,
        'aux_heads read "stages"',
        aux_heads=dict(joint=dict(type='mmkd.TinyBranch', on='stages')),
    )


def test_aux_head_with_the_name_of_a_tap(build: Any) -> None:
    check_refused(
        build,
        ValueError,
        '"logits" is both a tap and an auxiliary head',
        aux_heads=dict(logits=dict(type='mmkd.TinyBranch', on='feats')),
    )


def test_aux_heads_in_a_circle(build: Any) -> None:
    heads = dict(
        a=dict(type='mmkd.TinyBranch', on='b'),
        b=dict(type='mmkd.TinyBranch', on='a'),
    )
    check_refused(build, ValueError, 'aux_heads', 'circle', aux_heads=heads)


# -- teachers --------------------------------------------------------------


@pytest.mark.parametrize(
    'teacher',
    ['a.py', dict(config='a.py'), dict(checkpoint='a'), [None], 3],
)
def test_incomplete_teacher(build: Any, teacher: Any) -> None:
    check_refused(
        build,
        KeyError,
        'model.teacher=',
        'give dict(config=..., checkpoint=...)',
        teacher=teacher,
    )


def test_unknown_key_of_a_teacher(build: Any, teacher_of: Any) -> None:
    check_refused(
        build,
        KeyError,
        'model.teacher has the unknown key ckpt; known: allow_pickle',
        teacher=dict(**teacher_of('segmentation'), ckpt='x'),
    )


def test_options_of_a_teacher_given_as_dict(
    build: Any, teacher_of: Any
) -> None:
    teacher = teacher_of('segmentation')
    check_refused(
        build,
        ValueError,
        'teacher.cfg_options',
        teacher=dict(**teacher, cfg_options={'model.a': 1}),
    )


def test_missing_checkpoint(build: Any) -> None:
    teacher = dict(config=toy_segmentor(8), checkpoint='none.pth')
    check_refused(
        build,
        FileNotFoundError,
        'checkpoint="none.pth" does not exist',
        teacher=teacher,
    )


def test_checkpoint_of_another_network(build: Any, checkpoint: Any) -> None:
    other = checkpoint(toy_network('classification', 8))
    check_refused(
        build,
        ValueError,
        f'teacher checkpoint="{other}" does not fit the EncoderDecoder',
        'missing: decode_head',
        teacher=dict(config=toy_segmentor(8), checkpoint=other),
    )


def test_checkpoint_with_other_classes(build: Any, checkpoint: Any) -> None:
    other = checkpoint(toy_segmentor(8, num_classes=5))
    check_refused(
        build,
        ValueError,
        'other class numbers',
        teacher=dict(config=toy_segmentor(8), checkpoint=other),
    )


def test_distillers_checkpoint_teaches(
    build: Any, batch: Any, tmp_path: Any
) -> None:
    """What a distillation saved is the teacher of the next one."""
    first = build()
    path = str(tmp_path / 'first.pth')
    torch.save(dict(state_dict=first.state_dict()), path)
    second = build(teacher=dict(config=toy_segmentor(4), checkpoint=path))
    own = first.student.state_dict()
    for key, value in second.teachers[0].network.state_dict().items():
        assert torch.equal(value, own[key])


# -- classes and sizes, found when built -----------------------------------


def test_other_number_of_classes(build: Any) -> None:
    check_refused(
        build,
        ValueError,
        'losses.kd (KLDivLoss)',
        'teacher predicts 8 classes, student 5',
        'student logits (2, 5, 28, 28)',
        student=toy_segmentor(4, num_classes=5),
    )


def test_other_stride(build: Any) -> None:
    student = toy_segmentor(4)
    student['backbone']['strides'] = (1, 2, 2, 1)
    check_refused(
        build,
        ValueError,
        'losses.kd (KLDivLoss)',
        '(2, 8, 14, 14)',
        '(2, 8, 28, 28)',
        'same stride',
        student=student,
    )


def test_mistakes_are_found_before_training_only_with_the_dry_run(
    build: Any, batch: Any
) -> None:
    student = toy_segmentor(4, num_classes=5)
    distiller = build(student=student, dry_run=False)
    distiller.check_labels = False
    data = batch(distiller)
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.clamp_(max=4)
    with pytest.raises(ValueError, match=re.escape('classes, student 5')):
        distiller(**data, mode='loss')


# -- teachers that nobody reads ----------------------------------------------


@pytest.mark.parametrize('losses', [None, {}])
def test_teacher_without_losses(build: Any, losses: Any) -> None:
    check_refused(
        build,
        ValueError,
        'model.teacher teaches nothing: no loss of model.losses (empty)',
        'or set teacher=None',
        losses=losses,
    )


def test_input_shape_of_another_form(build: Any) -> None:
    for shape in ('large', (3, 32), (3, 0, 32)):
        check_refused(
            build, ValueError, 'model.input_shape=', input_shape=shape
        )


def test_misspelt_key_of_a_distiller(build: Any) -> None:
    check_refused(
        build, TypeError, 'does not know model.loses; nearest: losses', loses=1
    )
