"""Losses of the segmentation comparison: golden cases, references, rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import (
    ATLoss,
    CategorySimilarityLoss,
    ChannelWiseDivergenceLoss,
    FitNetLoss,
    IntraClassFeatureVariationLoss,
    PairwiseSimilarityLoss,
    PixelSimilarityResidualLoss,
)
from tests.references import seg_baselines as plain

Pair = tuple[torch.Tensor, torch.Tensor]


def tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(array)


def learner(array: Any) -> torch.Tensor:
    return tensor(array).requires_grad_()


def assert_golden(loss: torch.Tensor, wanted: Any, **grads: Pair) -> None:
    torch.testing.assert_close(
        loss, torch.as_tensor(wanted), rtol=1e-5, atol=1e-9
    )
    for name, (found, expected) in grads.items():
        error = (found - expected).abs().max()
        assert error <= 3e-5 * expected.abs().max(), name


@pytest.mark.parametrize(
    ('name', 'loss'),
    [
        ('01_skd_pairwise', PairwiseSimilarityLoss()),
        ('12_at', ATLoss(pool=False)),
    ],
)
def test_golden_of_features(golden: Any, name: str, loss: Any) -> None:
    case = golden('seg_baselines', name)
    student, teacher = learner(case['student_feat']), case['teacher_feat']
    value = loss(student, learner(teacher))
    value.backward()
    wanted = tensor(case['grad_student_feat'])
    assert_golden(value, case['loss'], student=(student.grad, wanted))


def test_golden_ifvd(golden: Any) -> None:
    case = golden('seg_baselines', '05_ifvd')
    student = learner(case['student_feat'])
    loss = IntraClassFeatureVariationLoss(int(case['num_classes']), -1)
    teacher, labels = tensor(case['teacher_feat']), tensor(case['labels'])
    value = loss(student, teacher, labels)
    value.backward()
    some = student.detach().abs().sum(1, keepdim=True) > 0
    wanted = tensor(case['grad_student_feat']) * some
    assert_golden(value, case['loss'], student=(student.grad * some, wanted))


def test_golden_cwd_with_adapter(golden: Any) -> None:
    case = golden('seg_baselines', '07_cwd_feature_projected')
    student = learner(case['student'])
    loss = ChannelWiseDivergenceLoss(float(case['temperature']), 5, 8)
    loss.adapter.weight.data.copy_(tensor(case['conv_weight']))
    value = loss(student, tensor(case['teacher']))
    value.backward()
    assert_golden(
        value,
        case['loss'],
        student=(student.grad, tensor(case['grad_student'])),
        conv=(loss.adapter.weight.grad, tensor(case['grad_conv_weight'])),
    )
    per_teacher = ChannelWiseDivergenceLoss(
        4.0, 5, 8, normalizer='teacher_channels'
    )
    per_teacher.load_state_dict(loss.state_dict())
    other = per_teacher(student, tensor(case['teacher']))
    torch.testing.assert_close(other * 8 / 5, value)


def test_golden_fitnet(golden: Any) -> None:
    case = golden('seg_baselines', '13_fitnet')
    student = learner(case['student_feat'])
    loss = FitNetLoss(5, 8)
    loss.regressor.weight.data.copy_(tensor(case['conv_weight']))
    value = loss(student, tensor(case['teacher_feat']))
    value.backward()
    found = loss.regressor.weight.grad
    assert_golden(
        value,
        case['loss'],
        student=(student.grad, tensor(case['grad_student_feat'])),
        conv=(found, tensor(case['grad_conv_weight'])),
    )


@pytest.mark.parametrize('kind', ['psd', 'csd'])
def test_golden_dsd(golden: Any, kind: str) -> None:
    case = golden('seg_baselines', '10_dsd_three_maps')
    students = [learner(case[f'student{k}']) for k in range(3)]
    teachers = [tensor(case[f'teacher{k}']) for k in range(3)]
    if kind == 'psd':
        value = PixelSimilarityResidualLoss()(students, teachers)
    else:
        value = CategorySimilarityLoss()(students[2], teachers[2])
    value.backward()
    grads = {
        f'student{k}': (s.grad, tensor(case[f'grad_{kind}_student{k}']))
        for k, s in enumerate(students)
        if s.grad is not None
    }
    assert len(grads) == (3 if kind == 'psd' else 1)
    assert_golden(value, case[f'loss_{kind}'], **grads)


# -- references --------------------------------------------------------------


def maps(channels: int, size: tuple[int, int] = (9, 8)) -> torch.Tensor:
    found = torch.randn(2, channels, *size, dtype=torch.float64)
    return found.requires_grad_()


def labels_of(classes: int) -> torch.Tensor:
    labels = torch.randint(0, classes, (2, 27, 31))
    labels[0, :, :9] = 255
    labels[labels == 1] = 2  # a class is absent
    return labels


LABELS = labels_of(5)

CASES: dict[str, tuple[Any, Callable[..., torch.Tensor], int, int]] = dict(
    skd=(PairwiseSimilarityLoss(), plain.pairwise_similarity, 3, 5),
    skd_direct=(PairwiseSimilarityLoss(), plain.pairwise_similarity, 3, 40),
    ifvd=(
        lambda s, t: IntraClassFeatureVariationLoss(5)(s, t, LABELS),
        lambda s, t: plain.intra_class_variation(s, t, LABELS, 5),
        4,
        6,
    ),
    cwd=(
        ChannelWiseDivergenceLoss(2.0),
        lambda s, t: plain.channel_wise_divergence(s, t, 2.0),
        4,
        4,
    ),
    cwd_spatial=(
        ChannelWiseDivergenceLoss(2.0, mode='spatial'),
        lambda s, t: (
            4
            * functional.kl_div(
                (s / 2).log_softmax(1), (t / 2).softmax(1), reduction='sum'
            )
            / (2 * 9 * 8)
        ),
        4,
        4,
    ),
    csd=(
        CategorySimilarityLoss(),
        lambda s, t: plain.category_similarity(s, t, 4.0),
        4,
        4,
    ),
)


@pytest.mark.parametrize('name', CASES)
def test_equals_the_reference(name: str) -> None:
    loss, reference, c_s, c_t = CASES[name]
    student, teacher = maps(c_s), maps(c_t)
    value, wanted = loss(student, teacher), reference(student, teacher)
    torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-13)
    (grad,) = torch.autograd.grad(value, student)
    (expected,) = torch.autograd.grad(wanted, student)
    torch.testing.assert_close(grad, expected, rtol=1e-7, atol=1e-13)
    assert teacher.grad is None
    same = loss(teacher, teacher)
    assert float(same) <= 1e-12
    (grad,) = torch.autograd.grad(same, teacher)
    assert grad.abs().max() <= 1e-8


def test_residuals_equal_the_reference() -> None:
    students = [maps(c) for c in (3, 5, 4)]
    teachers = [maps(c) for c in (4, 3, 6)]
    value = PixelSimilarityResidualLoss()(students, teachers)
    wanted = plain.pixel_residuals(students, teachers)
    torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-13)


def test_residual_of_one_map_twice_has_no_gradient() -> None:
    """The published comparison of students without auxiliary head."""
    feats, logits = maps(5), maps(4)
    teachers = [maps(4), maps(6), maps(4)]
    loss = PixelSimilarityResidualLoss(reference_layers=True)
    value = loss([feats, logits], teachers)
    value.backward()
    twice = PixelSimilarityResidualLoss()([logits, feats, logits], teachers)
    assert float(value) == float(twice)
    assert logits.grad.isfinite().all() and logits.grad.abs().max() < 1


# -- properties --------------------------------------------------------------


def test_invariances() -> None:
    student, teacher = maps(4), maps(6)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    rotated = torch.einsum('dc,nchw->ndhw', rotation, student)
    ifvd, skd = CASES['ifvd'][0], PairwiseSimilarityLoss()
    for loss in (ifvd, skd, ATLoss(pool=False)):
        torch.testing.assert_close(
            loss(3 * student, teacher), loss(student, teacher)
        )
    for loss in (ifvd, ATLoss(pool=False)):
        torch.testing.assert_close(
            loss(rotated, teacher), loss(student, teacher)
        )
    assert not torch.isclose(skd(rotated, teacher), skd(student, teacher))
    shift = torch.randn(2, 4, 1, 1, dtype=torch.float64)
    cwd, other = ChannelWiseDivergenceLoss(), maps(4)
    torch.testing.assert_close(
        cwd(student + shift, other), cwd(student, other)
    )


def test_ifvd_ignores_every_label_outside_the_classes() -> None:
    loss = IntraClassFeatureVariationLoss(5)
    student, teacher = maps(4), maps(6)
    other = torch.where(LABELS == 255, 254, LABELS)
    assert loss(student, teacher, LABELS) == loss(student, teacher, other)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = torch.where(LABELS == 255, 255, order[LABELS.clamp(max=4)])
    torch.testing.assert_close(
        loss(student, teacher, renamed), loss(student, teacher, LABELS)
    )
    nothing = loss(student, teacher, torch.full_like(LABELS, 255))
    assert float(nothing) == 0
    (grad,) = torch.autograd.grad(nothing, student)
    assert not grad.any()


def test_ifvd_pixel_of_zeros_gets_no_gradient() -> None:
    student = maps(4).detach()
    student[:, :, 4] = 0
    student.requires_grad_()
    IntraClassFeatureVariationLoss(5)(student, maps(6), LABELS).backward()
    assert student.grad.abs().max() < 1


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_cwd_stays_finite(dtype: torch.dtype) -> None:
    student = torch.full((1, 2, 3, 4), -1e4, dtype=dtype)
    student[..., 0] = 1e4
    student.requires_grad_()
    value = ChannelWiseDivergenceLoss(1.0)(student, -student.detach())
    value.backward()
    assert value.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('name', CASES)
def test_half_precision_is_computed_in_float32(name: str) -> None:
    loss, _, c_s, c_t = CASES[name]
    student = (300 * maps(c_s)).half().detach().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(student, 300 * maps(c_t).half())
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite() and student.grad.isfinite().all()


def test_weights_scale() -> None:
    student, teacher = maps(4), maps(4)
    for cls in (
        PairwiseSimilarityLoss,
        ChannelWiseDivergenceLoss,
        CategorySimilarityLoss,
    ):
        value = cls(loss_weight=7.0)(student, teacher)
        torch.testing.assert_close(value, 7 * cls()(student, teacher))


def test_half_map_pooling_is_a_graph_of_four_regions() -> None:
    student, teacher = maps(3, (8, 6)), maps(9, (8, 6))
    value = PairwiseSimilarityLoss('half')(student, teacher)
    grams = []
    for x in (student, teacher):
        regions = [
            x[:, :, i : i + 4, j : j + 3].amax((2, 3))
            for i in (0, 4)
            for j in (0, 3)
        ]
        unit = functional.normalize(torch.stack(regions, 2), dim=1)
        grams.append(unit.mT @ unit)
    wanted = (grams[0] - grams[1]).square().mean()
    torch.testing.assert_close(value, wanted)


# -- mistakes ----------------------------------------------------------------


@pytest.mark.parametrize('name', CASES)
def test_maps_of_other_sizes_are_refused(name: str) -> None:
    words = r"\(2, 4, 9, 8\).*\(2, 4, 5, 8\).*resize='teacher'"
    with pytest.raises(ValueError, match=words):
        CASES[name][0](maps(4), maps(4, (5, 8)))


@pytest.mark.parametrize(
    'loss', [ChannelWiseDivergenceLoss(), CategorySimilarityLoss()]
)
def test_other_classes_are_refused(loss: Any) -> None:
    with pytest.raises(
        ValueError, match='teacher predicts 19 classes, student 11'
    ):
        loss(maps(11), maps(19))


def test_labels_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r'labels are \(3, 27, 31\)'):
        IntraClassFeatureVariationLoss(5)(maps(4), maps(4), LABELS[[0, 0, 1]])


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (
            lambda: ChannelWiseDivergenceLoss(mode='none'),
            "mode='none' is unknown",
        ),
        (lambda: ChannelWiseDivergenceLoss(normalizer='n'), 'normalizer'),
        (lambda: ChannelWiseDivergenceLoss(student_channels=4), 'give both'),
        (lambda: ChannelWiseDivergenceLoss(0), 'temperature=0 must be'),
        (lambda: PairwiseSimilarityLoss(0), 'pool_kernel=0 must be'),
        (lambda: CategorySimilarityLoss(pool_kernel=0), 'pool_kernel=0'),
        (lambda: IntraClassFeatureVariationLoss(0), 'num_classes=0'),
        (
            lambda: ChannelWiseDivergenceLoss(mode='spatial')(
                maps(1), maps(1)
            ),
            "softmax over dimension 1.*set mode='channel'",
        ),
        (
            lambda: PixelSimilarityResidualLoss()([maps(3)], [maps(3)]),
            '1 student and 1 teacher maps; give equally many, at least two',
        ),
    ],
)
def test_bad_settings_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
