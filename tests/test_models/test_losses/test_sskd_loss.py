from __future__ import annotations

import math

import pytest
import torch

from mmkd.models.heads import EmbeddingMLP
from mmkd.models.losses import RotatedMatchLoss, SSKDLoss
from mmkd.models.losses.sskd_loss import rotated_similarities
from mmkd.registry import MODELS
from tests.references import cls_baselines_b

IMAGES, CLASSES = 5, 6


def inputs(dtype=torch.float64):
    """Logits and embeddings of the student, those of the teacher, labels."""
    widths = (CLASSES, 7, CLASSES, 9)
    tensors = [2 * torch.randn(4 * IMAGES, w, dtype=dtype) for w in widths]
    return [*tensors, torch.randint(CLASSES, (IMAGES,))]


@pytest.mark.parametrize('ratios', [(1.0, 0.75), (0.5, 0.0), (0.3, 1.0)])
def test_equals_loops(ratios):
    tensors = inputs()
    leaves = [tensor.requires_grad_() for tensor in tensors[:2]]
    terms = SSKDLoss(
        kd_weight=1.0,
        tf_weight=1.0,
        ss_weight=1.0,
        tf_ratio=ratios[0],
        ss_ratio=ratios[1],
    )(*tensors)
    loops = cls_baselines_b.sskd(*tensors, ratios)
    for name, loop in loops.items():
        torch.testing.assert_close(terms[f'loss_{name}'], loop)
    totals = [torch.stack(list(t.values())).sum() for t in (terms, loops)]
    ours, slow = (torch.autograd.grad(total, leaves) for total in totals)
    torch.testing.assert_close(ours, slow)


def test_published_weights():
    tensors = inputs()
    terms = SSKDLoss(loss_weight=2.0)(*tensors)
    loops = cls_baselines_b.sskd(*tensors)
    for name, weight in dict(kd=0.9, tf=2.7, ss=10.0).items():
        torch.testing.assert_close(
            terms[f'loss_{name}'], 2 * weight * loops[name]
        )


def test_tiny_norms_as_in_cosine_similarity():
    rotated, upright = 1e-9 * torch.randn(6, 4), torch.randn(3, 4)
    upright[0] = 0
    expected = torch.cosine_similarity(rotated[:, None], upright[None], dim=2)
    found = rotated_similarities(rotated, upright)
    torch.testing.assert_close(found, expected)


def test_small_integer_labels():
    tensors = inputs()
    expected = SSKDLoss()(*tensors)
    found = SSKDLoss()(*tensors[:4], tensors[4].to(torch.uint8))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_least_wrong_rows_are_kept():
    # true class 0; ranks by row: 2, 0, 1, 0, 3, 3
    scores = torch.tensor(
        [
            [1.0, 2, 3, 0],
            [3.0, 2, 1, 0],
            [2.0, 3, 1, 0],
            [9.0, 2, 1, 0],
            [0.0, 1, 2, 3],
            [0.0, 3, 2, 1],
        ]
    )
    truth = torch.zeros(2, dtype=torch.long)
    for ratio, kept in (
        (0.0, [1, 3]),
        (0.24, [1, 3]),
        (0.5, [0, 1, 2, 3]),
        (0.75, [0, 1, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4, 5]),
    ):
        loss = SSKDLoss(ss_ratio=ratio)
        rows = loss.kept_rows('ss', scores, truth).nonzero()[:, 0]
        assert rows.tolist() == kept
        assert len(rows) == 2 + math.floor(4 * ratio)


def test_zero_and_scale_of_embeddings():
    logits, embeds, _, _, labels = inputs()
    for value in SSKDLoss()(logits, embeds, logits, embeds, labels).values():
        assert value.abs() < 1e-9
    tensors = inputs()
    terms = SSKDLoss()(*tensors)
    tensors[1], tensors[3] = 5 * tensors[1], 0.1 * tensors[3]
    scaled = SSKDLoss()(*tensors)
    torch.testing.assert_close(terms['loss_ss'], scaled['loss_ss'])
    assert list(terms) == ['loss_kd', 'loss_tf', 'loss_ss']


def test_teacher_is_detached():
    tensors = inputs()
    for tensor in tensors[:4]:
        tensor.requires_grad_()
    torch.stack(list(SSKDLoss()(*tensors).values())).sum().backward()
    assert tensors[2].grad is None and tensors[3].grad is None
    assert all(t.grad.isfinite().all() for t in tensors[:2])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    *tensors, labels = inputs(dtype)
    terms = SSKDLoss()(*tensors, labels)
    full = SSKDLoss()(*(t.float() for t in tensors), labels)
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, full[name])


def test_rotated_match_by_hand():
    embeds = torch.randn(4 * IMAGES, 7, dtype=torch.float64)
    terms = []
    for row in (k for k in range(4 * IMAGES) if k % 4):
        scores = torch.cosine_similarity(embeds[row][None], embeds[::4])
        terms.append(-scores.log_softmax(0)[row // 4])
    expected = 0.5 * torch.stack(terms).mean()
    loss = MODELS.build(dict(type='mmkd.RotatedMatchLoss', loss_weight=0.5))
    torch.testing.assert_close(loss(embeds), expected)


def test_head():
    head = MODELS.build(dict(type='mmkd.EmbeddingMLP', in_channels=6))
    maps = torch.randn(3, 6, 2, 2)
    assert isinstance(head, EmbeddingMLP)
    assert torch.equal(head(maps), head(maps.mean((2, 3))))
    assert head(maps).shape == (3, 6)
    with pytest.raises(ValueError, match='in_channels=6, but'):
        head(torch.zeros(2, 5))


def test_messages():
    tensors = inputs()
    short = [*tensors[:4], tensors[4][:3]]
    with pytest.raises(ValueError, match=r'labels must be \(5,\)'):
        SSKDLoss()(*short)
    with pytest.raises(ValueError, match='not 3 rows per image'):
        SSKDLoss(num_rotations=3)(*tensors)
    with pytest.raises(ValueError, match='not 4 rows per image'):
        RotatedMatchLoss()(torch.zeros(6, 3))
    with pytest.raises(ValueError, match='labels reach from 6 to 6'):
        SSKDLoss()(*tensors[:4], torch.full((IMAGES,), CLASSES))
    maps = tensors[1][..., None, None]
    with pytest.raises(ValueError, match='behind the pooling'):
        SSKDLoss()(tensors[0], maps, *tensors[2:])
    for wrong in (
        dict(ss_temperature=0),
        dict(tf_ratio=1.5),
        dict(num_rotations=1),
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SSKDLoss(**wrong)
    with pytest.raises(ValueError, match='num_rotations=1'):
        RotatedMatchLoss(num_rotations=1)
