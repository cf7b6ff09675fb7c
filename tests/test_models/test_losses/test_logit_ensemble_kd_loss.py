from __future__ import annotations

import pytest
import torch

from mmkd.models.losses import LogitEnsembleKDLoss
from mmkd.registry import MODELS
from tests.references import mcl


def peers(count, dtype=torch.float64):
    return [
        torch.randn(6, 10, dtype=dtype, requires_grad=True)
        for _ in range(count)
    ]


@pytest.mark.parametrize('count', [2, 4])
@pytest.mark.parametrize('targets', ['all', 'last'])
def test_equals_formula_with_constant_target(count, targets):
    logits = peers(count)
    loss = LogitEnsembleKDLoss(targets=targets)(logits)
    mean = torch.stack(logits).mean(0)
    learners = logits if targets == 'all' else logits[-1:]
    expected = sum(mcl.soft_kl(mean, z, 3.0) for z in learners)
    torch.testing.assert_close(loss, expected)
    grads, others = (
        torch.autograd.grad(value, logits, allow_unused=True)
        for value in (loss, expected)
    )
    for z, grad, other in zip(logits, grads, others, strict=True):
        if targets == 'last' and z is not logits[-1]:
            assert grad is None and other is None
        else:
            torch.testing.assert_close(grad, other)


def test_gradient_through_the_target():
    logits = peers(3)
    loss = LogitEnsembleKDLoss(4.0, 'last', detach_target=False)
    loss(logits).backward()
    grads = [z.grad for z in logits]
    p = (torch.stack(logits).mean(0) / 4).softmax(1)
    log_q = (logits[-1] / 4).log_softmax(1)
    expected = 16 * (p * (p.log() - log_q)).sum(1).mean()
    for grad, other in zip(
        grads, torch.autograd.grad(expected, logits), strict=True
    ):
        assert grad.abs().max() > 0
        torch.testing.assert_close(grad, other)


def test_equal_peers_give_zero_and_order_does_not_matter_for_all():
    logits = peers(3)
    loss = LogitEnsembleKDLoss()
    same = loss([logits[0]] * 4)
    assert same.item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(loss(logits), loss(logits[::-1]))
    last = LogitEnsembleKDLoss(targets='last')
    assert not torch.isclose(last(logits), last(logits[::-1]))


def test_weight_maps_and_half_precision():
    maps = [torch.randn(2, 5, 3, 4).half() for _ in range(2)]
    loss = LogitEnsembleKDLoss(loss_weight=0.5)(maps)
    expected = LogitEnsembleKDLoss()([z.float() for z in maps])
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, 0.5 * expected)


def test_registered():
    loss = MODELS.build(dict(type='mmkd.LogitEnsembleKDLoss', targets='last'))
    assert loss.targets == 'last' and loss.divergence.temperature == 3.0


def test_mistakes():
    with pytest.raises(ValueError, match="targets='first' is unknown"):
        LogitEnsembleKDLoss(targets='first')
    with pytest.raises(ValueError, match='temperature=0'):
        LogitEnsembleKDLoss(temperature=0)
    loss = LogitEnsembleKDLoss()
    with pytest.raises(ValueError, match=r'\[\(2, 3\), \(2, 4\)\]'):
        loss([torch.zeros(2, 3), torch.zeros(2, 4)])
    with pytest.raises(ValueError, match='one shape'):
        loss([])
