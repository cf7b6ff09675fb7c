from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import PixelwiseKLLoss
from tests.references import okdhp


def maps(*shape, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize('detach', [False, True])
def test_golden(golden, detach):
    case = {
        key: torch.from_numpy(value) if value.ndim else float(value)
        for key, value in golden('okdhp', 'loss_small').items()
    }
    pred = case['pred'].requires_grad_()
    target = case['target'].requires_grad_()
    loss = PixelwiseKLLoss(detach_target=detach)(
        pred, target, case['joint_weight']
    )
    loss.backward()
    torch.testing.assert_close(loss.item(), case['kl'], rtol=1e-5, atol=0)
    expected = case[
        'kl_grad_pred_detached_target' if detach else 'kl_grad_pred'
    ]
    assert close(pred.grad, expected)
    if detach:
        assert target.grad is None
    else:
        assert close(target.grad, case['kl_grad_target'])


def close(value, expected):
    return (value - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize('temperature', [1.0, 0.1])
def test_equals_loop(temperature):
    pred, target = maps(2, 3, 4, 5), maps(2, 3, 4, 5)
    weight = torch.tensor([[1.0, 0, 1], [1, 1, 0]]).double()
    total = 0.0
    for b in range(2):
        for j in range(3):
            p = (weight[b, j] * pred[b, j].flatten() / temperature).softmax(0)
            q = (weight[b, j] * target[b, j].flatten() / temperature).softmax(
                0
            )
            total = total + sum(
                qi * (qi.log() - pi.log()) for pi, qi in zip(p, q, strict=True)
            )
    expected = 3.0 * temperature**2 * total / (2 * 4 * 5)
    loss = PixelwiseKLLoss(temperature, loss_weight=3.0)
    ours = loss(pred, target, weight[..., None])
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, pred), torch.autograd.grad(expected, pred)
    )


def test_equal_maps_and_joints_without_weight_give_nothing():
    pred, target = maps(2, 3, 4, 5), maps(2, 3, 4, 5)
    assert PixelwiseKLLoss()(pred, pred.detach()).abs() < 1e-15
    nothing = PixelwiseKLLoss()(pred, target, torch.zeros(2, 3))
    assert nothing == 0
    assert torch.autograd.grad(nothing, pred)[0].abs().max() == 0
    ignored = PixelwiseKLLoss(use_target_weight=False)
    assert ignored(pred, target, torch.zeros(2, 3)) > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    pred = maps(2, 3, 8, 8, dtype=torch.float32)
    target = maps(2, 3, 8, 8, dtype=torch.float32)
    half = PixelwiseKLLoss()(pred.to(dtype), target.to(dtype))
    assert half.dtype == torch.float32
    rounded = pred.to(dtype).float(), target.to(dtype).float()
    torch.testing.assert_close(half, PixelwiseKLLoss()(*rounded))


def test_messages():
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        PixelwiseKLLoss(temperature=0)
    for other in ((2, 4, 5, 5), (2, 3, 5)):
        with pytest.raises(ValueError, match='equal joints and heat-map'):
            PixelwiseKLLoss()(torch.zeros(2, 3, 5, 5), torch.zeros(other))


def test_a_list_is_summed():
    preds, target = [maps(2, 3, 4, 5) for _ in range(3)], maps(2, 3, 4, 5)
    weight = torch.ones(2, 3, 1)
    expected = sum(okdhp.pixelwise_kl(pred, target, weight) for pred in preds)
    ours = PixelwiseKLLoss()(preds, target, weight)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, target),
        torch.autograd.grad(expected, target),
    )
