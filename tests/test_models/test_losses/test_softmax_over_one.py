"""A softmax over one value is always 1: the losses with one refuse it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.losses import (
    DKDLoss,
    KLDivLoss,
    LogitEnsembleKDLoss,
    MiniBatchPixelRelationLoss,
    PixelwiseKLLoss,
    SSKDLoss,
)

LABELS = torch.zeros(2, dtype=torch.long)
TWO_CLASSES = torch.randn(8, 6)


@pytest.mark.parametrize(
    ('loss', 'inputs', 'message'),
    [
        (KLDivLoss(), torch.randn(2, 3, 1, 4, 4), r'\(3, 1, 4, 4\).*sigmoid'),
        (
            LogitEnsembleKDLoss(),
            [torch.randn(2, 3, 1)],
            r'\(3, 1\).*sigmoid=True',
        ),
        (
            DKDLoss(),
            [*torch.randn(2, 2, 1), LABELS],
            r'\(2, 1\).*at least two classes',
        ),
        (
            SSKDLoss(),
            [torch.randn(8, 1), TWO_CLASSES] * 2 + [LABELS],
            r'\(8, 1\).*at least two classes',
        ),
        (
            PixelwiseKLLoss(),
            torch.randn(2, 3, 5, 1, 1),
            r'\(3, 5, 1\).*several pixels',
        ),
        (
            MiniBatchPixelRelationLoss(),
            torch.randn(2, 3, 5, 1, 1),
            r'\(3, 1, 5\).*several pixels',
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused(loss: Any, inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f'{type(loss).__name__}|KLDivLoss'):
        loss(*inputs)
    with pytest.raises(ValueError, match=message):
        loss(*inputs)


def test_the_sigmoid_form_of_the_ensemble() -> None:
    peers = torch.randn(2, 3, 1, requires_grad=True)
    loss = LogitEnsembleKDLoss(2.0, sigmoid=True)(peers)
    mean = peers.detach().mean(0)
    one = KLDivLoss(2.0, sigmoid=True)
    torch.testing.assert_close(loss, one(peers[0], mean) + one(peers[1], mean))
    assert torch.autograd.grad(loss, peers)[0].abs().max() > 0
