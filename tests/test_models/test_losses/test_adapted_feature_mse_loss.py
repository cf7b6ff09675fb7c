"""AdaptedFeatureMSELoss: a loop over pixels, closed forms, mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.losses import AdaptedFeatureMSELoss
from tests.references.oem import feature_loss

OWN, WIDE = (3, 5), (4, 6)


def maps(channels: Any, dtype: Any = torch.float64) -> list[torch.Tensor]:
    return [
        torch.randn(2, c, 4 // k, 3, dtype=dtype, requires_grad=True)
        for k, c in enumerate(channels, 1)
    ]


@pytest.mark.parametrize('adaptation', [True, False])
def test_equals_the_loop(adaptation: bool) -> None:
    loss = AdaptedFeatureMSELoss(OWN, WIDE, adaptation, loss_weight=0.3)
    loss = loss.double()
    own, wide = maps(OWN), maps(WIDE)
    kernels = [conv.weight for conv in loss.adapters] or None
    biases = [conv.bias for conv in loss.adapters] or None
    value = loss(own, wide)
    expected = 0.3 * feature_loss(own, wide, kernels, biases)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    learned = [*own, *loss.parameters()]
    found = torch.autograd.grad(value, learned, retain_graph=True)
    wanted = torch.autograd.grad(expected, learned)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
    assert len(list(loss.parameters())) == (4 if adaptation else 0)


def test_targets_are_detached() -> None:
    loss = AdaptedFeatureMSELoss(OWN, WIDE).double()
    wide = maps(WIDE)
    loss(maps(OWN), wide).backward()
    assert all(target.grad is None for target in wide)


def test_identity_kernels_and_equal_maps() -> None:
    loss = AdaptedFeatureMSELoss(4, 4)
    with torch.no_grad():
        loss.adapters[0].weight.copy_(torch.eye(4)[:, :, None, None])
        loss.adapters[0].bias.zero_()
    same = torch.randn(2, 4, 3, 3)
    assert loss(same, same).item() == 0
    assert loss([same], [same + 1]).item() == pytest.approx(1, rel=1e-5)


def test_half_precision_is_computed_in_float32() -> None:
    loss = AdaptedFeatureMSELoss(OWN, WIDE)
    own, wide = maps(OWN, torch.float32), maps(WIDE, torch.float32)
    exact = loss(own, wide)
    half = loss([m.bfloat16() for m in own], [m.bfloat16() for m in wide])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ('own', 'wide', 'words'),
    [
        (maps((3,)), maps((4,)), None),
        (maps(OWN), maps((4,)), '2 student and 1 teacher features'),
        (maps((5, 3)), maps(WIDE), r'maps 0 have 5 and 4 channels.*\[3, 5\]'),
        (
            [torch.zeros(2, 3, 2, 2)],
            [torch.zeros(2, 4, 4, 4)],
            'compress channels, not strides',
        ),
        ([torch.zeros(2, 3)], [torch.zeros(2, 4)], r'expected maps \(N, C'),
    ],
)
def test_mistakes(own: Any, wide: Any, words: str | None) -> None:
    loss = AdaptedFeatureMSELoss(OWN, WIDE).double()
    if words is None:  # fewer maps than blocks are the first ones
        assert loss(own, wide).item() > 0
        return
    with pytest.raises(ValueError, match=words):
        loss(own, wide)


def test_unequal_numbers_of_blocks() -> None:
    with pytest.raises(ValueError, match='must be of equally many blocks'):
        AdaptedFeatureMSELoss(OWN, (4,))
