from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import PKTLoss
from tests.references import feature_losses as reference


@pytest.mark.parametrize('eps', [1e-7, 1e-2])
def test_equals_loop(eps):
    student = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(6, 3, dtype=torch.float64)
    both = [
        PKTLoss(eps)(student, teacher),
        reference.probabilistic(student, teacher, eps),
    ]
    torch.testing.assert_close(*both)
    grads = [torch.autograd.grad(loss, student)[0] for loss in both]
    torch.testing.assert_close(*grads)


def test_scale_of_a_sample_does_not_matter():
    student, teacher = torch.randn(6, 4).double(), torch.randn(6, 3).double()
    scales = torch.rand(6, 1).double() + 0.5
    torch.testing.assert_close(
        PKTLoss()(student, teacher),
        PKTLoss()(student * scales, teacher),
        rtol=1e-5,
        atol=1e-9,
    )


def test_eps_must_be_positive():
    with pytest.raises(ValueError, match='eps=0 must be positive'):
        PKTLoss(eps=0)
