"""Maps of student and teacher at one size: the key ``resize``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.models.distillers.resizing import resized, resized_labels
from mmkd.models.losses import KLDivLoss
from mmkd.registry import MODELS
from mmkd.toys import toy_detector, toy_segmentor


def bilinear(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Interpolate between the four nearest pixel centres, one by one."""
    out = maps.new_zeros(*maps.shape[:2], height, width)
    old_h, old_w = maps.shape[2:]
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * old_h / height - 0.5, 0)
            x = max((j + 0.5) * old_w / width - 0.5, 0)
            top, left = int(y), int(x)
            low, right = min(top + 1, old_h - 1), min(left + 1, old_w - 1)
            down, along = y - top, x - left
            out[:, :, i, j] = (
                (1 - down) * (1 - along) * maps[:, :, top, left]
                + (1 - down) * along * maps[:, :, top, right]
                + down * (1 - along) * maps[:, :, low, left]
                + down * along * maps[:, :, low, right]
            )
    return out


@MODELS.register_module(force=True)
class KeepInputs(nn.Module):
    """Keeps what it is given."""

    def forward(
        self, student: Any, teacher: Any, labels: torch.Tensor
    ) -> torch.Tensor:
        self.given = student, teacher, labels
        first = student if isinstance(student, torch.Tensor) else student[0]
        return first.mean()


def coarse(width: int) -> Any:
    """A segmentor of output stride 16."""
    model = toy_segmentor(width)
    model.backbone.strides = (1, 2, 2, 1)
    model.backbone.dilations = (1, 1, 1, 2)
    return model


def fine_detector(width: int) -> Any:
    """A detector of strides 4, 8, 16."""
    model = toy_detector(width)
    model.backbone.out_indices = (0, 1, 2)
    model.neck.in_channels = [width, 2 * width, 4 * width]
    return model


@pytest.fixture
def make(checkpoint: Any) -> Any:
    def distiller(
        loss: Any, scope: str = 'mmseg', teacher: Any = None, **changes: Any
    ) -> Any:
        if scope == 'mmseg':
            student, taps = toy_segmentor(4), 'decode_head.conv_seg'
            teacher = coarse(8) if teacher is None else teacher
        else:
            student, taps = toy_detector(4), 'neck'
            teacher = fine_detector(4) if teacher is None else teacher
        cfg = dict(
            type='mmkd.OfflineDistiller',
            student=student,
            teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
            taps=dict(maps=taps),
            losses=dict(kd=dict(on='maps', **loss)),
            **changes,
        )
        with DefaultScope.overwrite_default_scope(scope):
            return ROOT_MODELS.build(cfg)

    return distiller


@pytest.mark.parametrize('size', [(7, 9), (3, 4), (11, 2)])
def test_bilinear_equals_loop(size: Any) -> None:
    moved = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    kept = torch.randn(2, 4, *size, dtype=torch.float64)
    for side, values in (
        ('student', [moved, kept]),
        ('teacher', [kept, moved]),
    ):
        found = resized('kd', values, side)
        number = ['student', 'teacher'].index(side)
        torch.testing.assert_close(found[number], bilinear(moved, *size))
        assert found[1 - number] is kept


def test_integers_and_labels_go_to_the_nearest() -> None:
    maps = torch.randint(0, 9, (2, 1, 6, 6))
    kept = torch.randn(2, 3, 3, 2)
    found = resized('kd', [kept, maps], 'teacher')[1]
    assert torch.equal(found, maps[:, :, ::2, ::3])
    labels = resized_labels(maps[:, 0], [kept])
    assert torch.equal(labels, maps[:, 0, ::2, ::3])
    of_images = torch.tensor([3, 4])
    assert resized_labels(of_images, [kept]) is of_images


def test_lists_are_resized_level_by_level() -> None:
    student = [torch.randn(1, 2, side, side) for side in (8, 4)]
    teacher = [torch.randn(1, 2, side, side) for side in (6, 2)]
    found = resized('kd', [student, teacher], 'student')
    for k, side in enumerate((6, 2)):
        torch.testing.assert_close(
            found[0][k], bilinear(student[k], side, side)
        )


@pytest.mark.parametrize('side', ['student', 'teacher'])
def test_a_segmentor_of_another_stride(
    make: Any, batch: Any, side: str
) -> None:
    distiller = make(dict(type='mmkd.KLDivLoss', resize=side))
    data = batch(distiller)
    run = distiller.eval().observe(data['inputs'])
    pair = [run.tensors[label]['maps'] for label in ('student', 'teacher')]
    assert pair[0].shape[2] == 2 * pair[1].shape[2]
    moved = ['student', 'teacher'].index(side)
    pair[moved] = bilinear(pair[moved], *pair[1 - moved].shape[2:])
    losses = distiller(**data, mode='loss')
    torch.testing.assert_close(
        losses['loss_kd'], KLDivLoss()(*pair), rtol=1e-4, atol=1e-6
    )
    assert losses['loss_kd'].requires_grad
    assert f'teacher maps, {side} resized)' in distiller.summary()


def test_labels_get_the_size_of_the_maps(make: Any, batch: Any) -> None:
    distiller = make(dict(type='mmkd.KeepInputs', resize='teacher'))
    data = batch(distiller)
    distiller(**data, mode='loss')
    student, teacher, labels = distiller.losses['kd'].given
    assert student.shape[2:] == teacher.shape[2:] == labels.shape[1:]
    whole = torch.cat([s.gt_sem_seg.data for s in data['data_samples']])
    step = whole.shape[1] // labels.shape[1]
    assert torch.equal(labels, whole[:, ::step, ::step])


def test_pyramids_of_other_strides(make: Any, batch: Any) -> None:
    loss = dict(type='mmkd.FitNetLoss')
    distiller = make(dict(loss, resize='teacher'), 'mmdet')
    losses = distiller(**batch(distiller, 'detection'), mode='loss')
    assert losses['loss_kd'] > 0


def test_the_message_shows_the_line(make: Any) -> None:
    with pytest.raises(ValueError) as error:
        make(dict(type='mmkd.KLDivLoss'))
    text = str(error.value)
    assert 'student maps 8; teacher maps 16' in text
    line = "losses=dict(kd=dict(type='mmkd.KLDivLoss', on='maps', "
    assert line + "resize='teacher'))" in text


def test_the_message_in_the_step_shows_the_line(make: Any, batch: Any) -> None:
    distiller = make(dict(type='mmkd.KLDivLoss'), dry_run=False)
    with pytest.raises(ValueError, match=r"^losses\.kd .*resize='teacher'\)"):
        distiller(**batch(distiller), mode='loss')


def test_the_message_shows_the_strides_of_pyramids(make: Any) -> None:
    with pytest.raises(ValueError) as error:
        make(dict(type='mmkd.FitNetLoss'), 'mmdet')
    text = str(error.value)
    assert 'student maps 8, 16, 32; teacher maps 4, 8, 16' in text
    assert "on='maps', resize='teacher'))" in text


def test_the_message_for_other_numbers_of_levels(make: Any) -> None:
    teacher = toy_detector(4)
    teacher.backbone.out_indices = (2, 3)
    teacher.neck.update(in_channels=[16, 32], num_outs=2)
    teacher.bbox_head.update(
        strides=[16, 32], regress_ranges=((-1, 64), (64, 1e8))
    )
    with pytest.raises(ValueError) as error:
        make(dict(type='mmkd.FitNetLoss'), 'mmdet', teacher)
    text = str(error.value)
    assert 'student maps 8, 16, 32; teacher maps 16, 32' in text
    assert "'neck[0]'" in text and 'resize' not in text.split('; ', 1)[1]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(resize='both'), r"losses\.kd\.resize='both': write resize="),
        (
            dict(type='mmkd.JointLabelLoss', resize='student'),
            r"losses\.kd\.resize='student' is for losses that read as many",
        ),
    ],
)
def test_wrong_keys(make: Any, changes: Any, message: str) -> None:
    views = {}
    if 'type' in changes:
        views = dict(views=dict(type='mmkd.RotationViews'))
    with pytest.raises(ValueError, match=message):
        make(dict(dict(type='mmkd.KLDivLoss'), **changes), **views)


def test_nothing_to_resize(build: Any) -> None:
    kd = dict(type='mmkd.KLDivLoss', on='logits', resize='teacher')
    with pytest.raises(ValueError, match=r'reads no maps .*remove it'):
        build('classification', losses=dict(kd=kd))
