from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import LSGANDiscriminatorLoss, LSGANGeneratorLoss
from tests.references import ffl_afd as reference


def scores(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def test_golden(golden):
    case = golden('afd', 'formula_lsgan')
    real, fake, own = (
        torch.from_numpy(case[f'score_{name}']).requires_grad_()
        for name in ('real', 'fake', 'generator')
    )
    judge = LSGANDiscriminatorLoss()(real, fake)
    fool = LSGANGeneratorLoss()(own)
    (judge + fool).backward()
    for value, key in (
        (judge, 'loss_discriminator'),
        (fool, 'loss_generator'),
        (real.grad, 'grad_real'),
        (fake.grad, 'grad_fake'),
        (own.grad, 'grad_generator'),
    ):
        expected = torch.as_tensor(case[key])
        torch.testing.assert_close(
            value.detach(), expected, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize('shape', [(4, 1, 3, 2), (5, 1), (6,)])
def test_equals_the_loop(shape):
    real, fake = scores(*shape), scores(*shape)
    judge, fool = reference.lsgan(real, fake)
    found = LSGANDiscriminatorLoss(2.0)(real, fake)
    torch.testing.assert_close(found, 2 * judge)
    torch.testing.assert_close(LSGANGeneratorLoss(0.5)(fake), 0.5 * fool)


def test_direction_and_values():
    real, fake = scores(4, 1, 2, 2), scores(4, 1, 2, 2)
    half = torch.full((4, 1), 0.5)
    assert LSGANDiscriminatorLoss()(half, half) == 0.5
    assert LSGANGeneratorLoss()(half) == 0.25
    assert LSGANDiscriminatorLoss()(torch.ones(2), torch.zeros(2)) == 0
    assert LSGANGeneratorLoss()(torch.ones(2)) == 0
    LSGANDiscriminatorLoss()(real, fake).backward()
    assert real.grad.max() < 0 < fake.grad.min()
    fake.grad = None
    LSGANGeneratorLoss()(fake).backward()
    assert fake.grad.max() < 0


def test_half_precision_is_computed_in_float32():
    low = scores(8).to(torch.bfloat16)
    value = LSGANDiscriminatorLoss()(low, low)
    assert value.dtype == torch.float32
    torch.testing.assert_close(
        value, LSGANDiscriminatorLoss()(low.float(), low.float())
    )
