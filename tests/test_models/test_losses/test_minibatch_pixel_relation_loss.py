from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import (
    MiniBatchPixelRelationLoss,
    fused_bank_kl,
    fused_pair_kl,
)
from mmkd.registry import MODELS
from tests.references import cirkd


def maps(n=3, h=4, w=5, c_s=6, c_t=9, dtype=torch.float64):
    student = torch.randn(n, c_s, h, w, dtype=dtype, requires_grad=True)
    return student, torch.randn(n, c_t, h, w, dtype=dtype)


def value_and_gradient(loss, student, teacher):
    value = loss(student, teacher)
    return value.detach(), torch.autograd.grad(value, student)[0]


def test_golden(golden):
    case = golden('cirkd', '03_minibatch_p2p')
    student = torch.from_numpy(case['student_feat']).requires_grad_()
    teacher = torch.from_numpy(case['teacher_feat'])
    loss, grad = value_and_gradient(
        MiniBatchPixelRelationLoss(temperature=0.1), student, teacher
    )
    torch.testing.assert_close(
        loss.item(), float(case['loss']), rtol=1e-5, atol=2e-6
    )
    expected = torch.from_numpy(case['grad_student_feat'])
    assert (grad - expected).abs().max() <= 3e-5 * expected.abs().max()
    pair_kl = cirkd.pair_kl(student, teacher)
    torch.testing.assert_close(
        pair_kl.detach(),
        torch.from_numpy(case['pair_kl']),
        rtol=1e-5,
        atol=2e-6,
    )


# tiles: one per block; several; one row each
@pytest.mark.parametrize('tile', [2**20, 70, 1])
# keep the exponentials of a pair, or compute them twice
@pytest.mark.parametrize('kept', [2**26, 0])
# 1 / temperature below and above the limit of the shared form
@pytest.mark.parametrize('temperature', [0.1, 0.01])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)]
)
def test_equals_plain_form(
    monkeypatch, tile, kept, temperature, dtype, tolerance
):
    monkeypatch.setitem(fused_bank_kl.TILE_ELEMENTS, 'cpu', tile)
    monkeypatch.setattr(fused_pair_kl, 'MAX_KEPT_ELEMENTS', kept)
    student, teacher = maps(dtype=dtype)
    ours = value_and_gradient(
        MiniBatchPixelRelationLoss(temperature), student, teacher
    )
    plain = value_and_gradient(
        lambda s, t: cirkd.minibatch_relation(s, t, temperature),
        student,
        teacher,
    )
    for value, expected in zip(ours, plain, strict=True):
        error = (value - expected).abs().max()
        assert error <= tolerance * expected.abs().max()


def test_very_sharp_temperature_is_finite():
    student, teacher = maps(dtype=torch.float32)
    loss, grad = value_and_gradient(
        MiniBatchPixelRelationLoss(temperature=1e-3), student, teacher
    )
    assert loss.isfinite() and grad.isfinite().all()


def test_gradcheck():
    student, teacher = maps(n=2, h=2, w=3, c_s=3)
    loss = MiniBatchPixelRelationLoss(temperature=0.5)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student)


@pytest.mark.parametrize('num_images', [4, 5])
def test_groups_are_weighted_by_their_images(num_images):
    student, teacher = maps(n=num_images)
    loss = MiniBatchPixelRelationLoss(group_size=2)
    expected = 0
    for begin in range(0, num_images, 2):
        group = slice(begin, begin + 2)
        part = cirkd.minibatch_relation(student[group], teacher[group])
        expected = expected + part * len(student[group]) / num_images
    torch.testing.assert_close(loss(student, teacher), expected)
    torch.testing.assert_close(
        value_and_gradient(loss, student, teacher)[1],
        torch.autograd.grad(expected, student)[0],
    )


def test_limits_of_group_size():
    student, teacher = maps()
    whole = MiniBatchPixelRelationLoss()(student, teacher)
    for size in (3, 8):
        grouped = MiniBatchPixelRelationLoss(group_size=size)
        torch.testing.assert_close(grouped(student, teacher), whole)
    singles = [
        MiniBatchPixelRelationLoss()(student[i, None], teacher[i, None])
        for i in range(3)
    ]
    alone = MiniBatchPixelRelationLoss(group_size=1)(student, teacher)
    torch.testing.assert_close(alone, sum(singles) / 3)


def test_same_features_give_zero_and_zero_gradient():
    student, _ = maps(dtype=torch.float32)
    loss, grad = value_and_gradient(
        MiniBatchPixelRelationLoss(), student, student.detach()
    )
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert grad.abs().max() < 1e-6


def test_invariances():
    student, teacher = maps()
    loss = MiniBatchPixelRelationLoss()
    expected = loss(student, teacher)
    scale = torch.rand(3, 1, 4, 5, dtype=torch.float64) + 0.1
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    images = torch.tensor([2, 0, 1])
    pixels = torch.randperm(20)

    def shuffle(feats):
        return feats.flatten(2)[:, :, pixels].view_as(feats)

    for s, t in (
        (student * scale, teacher),
        (student, teacher * scale),
        (torch.einsum('nchw,dc->ndhw', student, rotation), teacher),
        (student[images], teacher[images]),
        (shuffle(student), shuffle(teacher)),
    ):
        torch.testing.assert_close(loss(s, t), expected)
    assert not torch.isclose(loss(shuffle(student), teacher), expected)


@pytest.mark.parametrize(
    ('settings', 'size', 'pool'),
    [
        (dict(pool=2), (7, 9), 2),
        (dict(auto_pool=True), (256, 258), 4),
        (dict(auto_pool=True), (5, 256), 1),
    ],
)
def test_pooling(settings, size, pool):
    student, teacher = maps(
        n=1, h=size[0], w=size[1], c_s=2, c_t=2, dtype=torch.float32
    )
    with torch.no_grad():
        loss = MiniBatchPixelRelationLoss(**settings)(student, teacher)
        pooled = [
            functional.avg_pool2d(feats, pool, ceil_mode=True)
            for feats in (student, teacher)
        ]
        expected = MiniBatchPixelRelationLoss()(*pooled)
    torch.testing.assert_close(loss, expected)


def test_no_gradient_to_the_teacher_and_none_without_need():
    student, teacher = maps()
    teacher.requires_grad_()
    MiniBatchPixelRelationLoss()(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().max() > 0
    with torch.no_grad():
        loss = MiniBatchPixelRelationLoss()(student, teacher)
    assert not loss.requires_grad
    torch.testing.assert_close(
        loss, MiniBatchPixelRelationLoss()(student.detach(), teacher)
    )


def test_gradient_is_not_formed_without_need(monkeypatch):
    def fail(*args):
        raise AssertionError('gradient formed')

    monkeypatch.setattr(fused_pair_kl._SharedPair, 'add_gradient', fail)
    student, teacher = maps()
    with torch.no_grad():
        MiniBatchPixelRelationLoss()(student, teacher)
    MiniBatchPixelRelationLoss()(student.detach(), teacher)
    with pytest.raises(AssertionError, match='gradient formed'):
        MiniBatchPixelRelationLoss()(student, teacher)


def test_nothing_of_pair_size_is_kept():
    student, teacher = maps(n=2, h=16, w=16)
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        MiniBatchPixelRelationLoss()(student, teacher)
    assert sizes and max(sizes) <= student.numel()


def test_second_derivative_is_refused():
    student, teacher = maps()
    loss = MiniBatchPixelRelationLoss()(student, teacher)
    with pytest.raises(RuntimeError, match='differentiated only once'):
        torch.autograd.grad(loss, student, create_graph=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    student, teacher = maps(dtype=torch.float32)
    student = student.detach().to(dtype).requires_grad_()
    teacher = teacher.to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        loss, grad = value_and_gradient(
            MiniBatchPixelRelationLoss(), student, teacher
        )
    assert loss.dtype == torch.float32 and grad.dtype == dtype
    assert loss.isfinite() and grad.isfinite().all()
    expected = cirkd.minibatch_relation(
        student.detach().float(), teacher.float()
    )
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


def test_constant_and_zero_pixels_are_finite():
    loss = MiniBatchPixelRelationLoss()
    student, teacher = maps(dtype=torch.float32)
    with torch.no_grad():
        student[0, :, 1, 2] = 0
        teacher[1, :, 0, 0] = 0
    for s in (student, torch.ones_like(student, requires_grad=True)):
        value, grad = value_and_gradient(loss, s, teacher)
        assert value.isfinite() and grad.isfinite().all() and value >= 0


def test_teacher_from_inference_mode():
    student, teacher = maps()
    with torch.inference_mode():
        frozen = teacher * 1
    loss, grad = value_and_gradient(
        MiniBatchPixelRelationLoss(), student, frozen
    )
    expected = value_and_gradient(
        MiniBatchPixelRelationLoss(), student, teacher
    )
    torch.testing.assert_close((loss, grad), expected)


def test_weight_and_upstream_scale_linearly():
    student, teacher = maps()
    loss, grad = value_and_gradient(
        MiniBatchPixelRelationLoss(), student, teacher
    )
    weighted = MiniBatchPixelRelationLoss(loss_weight=0.25)
    scaled = value_and_gradient(
        lambda s, t: 3 * weighted(s, t), student, teacher
    )
    torch.testing.assert_close(scaled, (0.75 * loss, 0.75 * grad))


def test_registered():
    loss = MODELS.build(
        dict(type='mmkd.MiniBatchPixelRelationLoss', group_size=2)
    )
    assert loss.group_size == 2


@pytest.mark.parametrize(
    ('student', 'teacher', 'message'),
    [
        ((2, 3, 4, 5), (2, 3, 5, 5), r'\(2, 3, 4, 5\).*\(2, 3, 5, 5\)'),
        ((2, 3, 4, 5), (3, 3, 4, 5), 'numbers of images differ'),
        ((2, 3, 4), (2, 3, 4), r'expected maps \(N, C, h, w\)'),
    ],
)
def test_wrong_shapes(student, teacher, message):
    with pytest.raises(ValueError, match=message):
        MiniBatchPixelRelationLoss()(
            torch.zeros(student), torch.zeros(teacher)
        )


@pytest.mark.parametrize(
    'settings', [dict(temperature=-1), dict(group_size=0), dict(pool=0)]
)
def test_wrong_settings(settings):
    (key,) = settings
    with pytest.raises(ValueError, match=f'{key}={settings[key]}'):
        MiniBatchPixelRelationLoss(**settings)


@pytest.mark.parametrize('needs_gradient', [True, False])
def test_work_space_of_large_maps_is_one_tile(monkeypatch, needs_gradient):
    monkeypatch.setitem(fused_bank_kl.TILE_ELEMENTS, 'cpu', 2**10)
    monkeypatch.setattr(fused_pair_kl, 'MAX_KEPT_ELEMENTS', 2**12)
    for pixels, elements in ((32, 2**10), (256, 2**10)):
        feats = torch.randn(2, pixels, 3)
        grad = torch.zeros_like(feats) if needs_gradient else None
        pair = fused_pair_kl._SharedPair(feats, feats, 10.0, grad)
        assert pair.space.shape == (2, elements)
        assert pair.spare.numel() <= elements
