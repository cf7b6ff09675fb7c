"""What all losses on features of student and teacher have in common."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.losses.feature_pair_loss import pool_to_smaller
from mmkd.registry import MODELS
from tests.references import feature_losses as reference

MAP, ROWS = (4, 6, 4, 4), (4, 12)
# name -> (other settings, shape of the features)
LOSSES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = dict(
    FitNetLoss=({}, MAP),
    ATLoss=({}, MAP),
    SPLoss=({}, MAP),
    CCLoss=({}, ROWS),
    VIDLoss=(dict(student_channels=[6, 6], teacher_channels=[6, 6]), MAP),
    RKDLoss=({}, ROWS),
    PKTLoss=({}, ROWS),
    ABLoss=({}, MAP),
    FTLoss=({}, MAP),
    FSPLoss=({}, MAP),
)
NAMES = list(LOSSES)


def build(name: str, **settings: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    config = dict(type=f'mmkd.{name}', **LOSSES[name][0])
    return MODELS.build(config | settings)


def features(name: str, dtype: torch.dtype = torch.float32) -> list[Any]:
    return [
        torch.randn(LOSSES[name][1]).to(dtype).requires_grad_()
        for _ in range(2)
    ]


@pytest.mark.parametrize('name', NAMES)
def test_only_the_student_learns(name: str) -> None:
    student, teacher = features(name), features(name)
    loss = build(name)(student, teacher)
    loss.backward()
    assert loss.ndim == 0
    for s, t in zip(student, teacher, strict=True):
        assert s.grad.abs().max() > 0
        assert t.grad is None


@pytest.mark.parametrize('name', NAMES)
def test_weight_scales_linearly(name: str) -> None:
    student, teacher = features(name), features(name)
    values = [
        build(name, loss_weight=weight)(student, teacher).item()
        for weight in (1.0, 0.3)
    ]
    assert values[0] != 0
    assert values[1] == pytest.approx(0.3 * values[0], rel=1e-5)


@pytest.mark.parametrize('name', set(NAMES) - {'VIDLoss'})
def test_equal_features_give_zero(name: str) -> None:
    student = features(name)
    if name == 'ABLoss':  # far from the boundary
        student = [(2 * s.detach().sign()).requires_grad_() for s in student]
    loss = build(name)(student, [s.detach().clone() for s in student])
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert build(name)(student, features(name)).item() > 0


@pytest.mark.parametrize('name', set(NAMES) - {'FSPLoss', 'ABLoss'})
def test_lists_are_summed(name: str) -> None:
    student, teacher = features(name), features(name)
    loss = single_loss = build(name)
    if name == 'VIDLoss':  # it knows the number of its stages
        loss.regressors[1] = loss.regressors[0]
        single_loss = build(name, student_channels=6, teacher_channels=6)
        single_loss.regressors[0] = loss.regressors[0]
    single = [single_loss(s, t) for s, t in zip(student, teacher, strict=True)]
    torch.testing.assert_close(loss(student, teacher), sum(single))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', NAMES)
def test_half_precision_is_computed_in_float32(
    name: str, dtype: torch.dtype
) -> None:
    student, teacher = features(name, dtype), features(name, dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = build(name)(student, teacher)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(s.grad.isfinite().all() for s in student)
    whole = [[f.detach().float() for f in side] for side in (student, teacher)]
    torch.testing.assert_close(loss.detach(), build(name)(*whole).detach())


@pytest.mark.parametrize('name', NAMES)
def test_float64_stays(name: str) -> None:
    student = features(name, torch.float64)
    teacher = features(name, torch.float64)
    loss = build(name).double()(student, teacher)
    assert loss.dtype == torch.float64


@pytest.mark.parametrize('value', [0.0, 3.0])
@pytest.mark.parametrize('name', NAMES)
def test_constant_features_are_finite(name: str, value: float) -> None:
    student = [
        torch.full_like(f, value).requires_grad_() for f in features(name)
    ]
    loss = build(name)(student, features(name))
    loss.backward()
    assert loss.isfinite()
    assert all(s.grad.isfinite().all() for s in student)


@pytest.mark.parametrize('name', NAMES)
def test_wrong_lengths_and_batches(name: str) -> None:
    student, teacher = features(name), features(name)
    loss = build(name)
    with pytest.raises(ValueError, match='2 student and 1 teacher features'):
        loss(student, teacher[:1])
    with pytest.raises(ValueError, match='0 student and 0 teacher'):
        loss([], [])
    with pytest.raises(ValueError, match='numbers of images differ'):
        loss(student, [t[:3] for t in teacher])
    with pytest.raises(ValueError, match='one vector or map per image'):
        loss([s[:, 0].flatten() for s in student], teacher)


@pytest.mark.parametrize('name', ['ATLoss', 'VIDLoss', 'FTLoss', 'FSPLoss'])
def test_maps_are_required(name: str) -> None:
    rows = [torch.randn(4, 6), torch.randn(4, 6)]
    with pytest.raises(ValueError, match='in front of the pooling'):
        build(name)(rows, rows)


# channels of one side permuted, positions permuted (equally on both sides)
@pytest.mark.parametrize('name', ['ATLoss', 'SPLoss', 'RKDLoss', 'PKTLoss'])
def test_order_of_channels_does_not_matter(name: str) -> None:
    student, teacher = features(name), features(name)
    permuted = [s[:, torch.randperm(s.shape[1])] for s in student]
    loss = build(name)
    torch.testing.assert_close(loss(student, teacher), loss(permuted, teacher))


@pytest.mark.parametrize('name', ['ATLoss', 'SPLoss', 'FTLoss', 'RKDLoss'])
def test_scale_does_not_matter(name: str) -> None:
    student, teacher = features(name), features(name)
    loss = build(name)
    torch.testing.assert_close(
        loss(student, teacher),
        loss([7 * s for s in student], teacher),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ('first', 'second', 'size'),
    [
        ((8, 8), (4, 4), (4, 4)),
        ((2, 4), (2, 4), (2, 4)),
        ((6, 2), (3, 4), (3, 2)),
    ],
)
def test_larger_map_is_pooled(first, second, size):
    maps = [torch.randn(2, 3, *shape) for shape in (first, second)]
    pooled = pool_to_smaller(*maps)
    for before, after in zip(maps, pooled, strict=True):
        assert after.shape[2:] == size
        torch.testing.assert_close(after.mean(), before.mean())


def test_references_are_zero_for_equal_features():
    rows = torch.randn(3, 4, dtype=torch.float64)
    for name in ('distance_term', 'angle_term', 'probabilistic', 'similarity'):
        assert getattr(reference, name)(rows, rows) == 0
