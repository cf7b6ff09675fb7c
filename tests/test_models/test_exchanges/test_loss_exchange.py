from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.exchanges import LossExchange
from mmkd.registry import MODELS


class Spread(nn.Module):
    """Mean square distance from the mean of the peers."""

    def forward(self, embeds):
        stacked = torch.stack(embeds)
        return (stacked - stacked.mean(0)).square().mean()


class Several(nn.Module):
    def forward(self, first, second, labels, iteration, scale=2.0):
        return {
            'loss_a': scale * sum(first).sum() * labels.sum(),
            'loss_b': sum(second).sum() * iteration,
        }


class Bad(nn.Module):
    def forward(self, embeds):
        return {'value': embeds[0].sum()}


def test_scalar_loss(cohort_of, make_batch):
    embeds = [torch.randn(4, 3, requires_grad=True) for _ in range(3)]
    exchange = LossExchange('feats', Spread(), 'spread', loss_weight=0.5)
    assert exchange.on == {'logits': 'feats'}
    losses = exchange(cohort_of(logits=embeds), make_batch())
    torch.testing.assert_close(losses, {'loss_spread': 0.5 * Spread()(embeds)})
    losses['loss_spread'].backward()
    assert all(e.grad.abs().max() > 0 for e in embeds)


@pytest.mark.parametrize(
    'on',
    [dict(first='tap_a', second='tap_b'), dict(second='tap_b', first='tap_a')],
)
def test_several_roles_and_values_of_the_batch(cohort_of, make_batch, on):
    """In any order: mmengine sorts the keys of a config that it saves."""
    one, two = torch.ones(2, 3), torch.ones(2, 1)
    peers = cohort_of(first=[one, one], second=[two, two])
    exchange = LossExchange(on, Several())
    assert exchange.extras == ('labels', 'iteration')
    labels = torch.tensor([1, 2])
    losses = exchange(peers, make_batch(labels, iteration=5))
    assert losses == {'loss_a': 2 * 12 * 3, 'loss_b': 4 * 5}


def test_built_from_the_config(cohort_of, make_batch):
    exchange = MODELS.build(
        dict(
            type='mmkd.LossExchange',
            on=dict(student_logits='logits', teacher_logits='logits'),
            loss=dict(type='mmkd.KLDivLoss', temperature=2.0),
        )
    )
    logits = [torch.randn(2, 4) for _ in range(2)]
    losses = exchange(
        cohort_of(student_logits=logits, teacher_logits=logits[::-1]),
        make_batch(),
    )
    assert losses['loss_exchange'] > 0
    assert 'transfer_loss' not in losses


def test_mistakes(cohort_of, make_batch):
    with pytest.raises(TypeError, match=r'needs 2 list.*\(first, second\)'):
        LossExchange('feats', Several())
    with pytest.raises(TypeError, match=r'needs 1 list.*\(embeds\).*gives 2'):
        LossExchange(dict(a='x', b='y'), Spread())
    words = r'must name the arguments of Several.forward; write on=dict\(first'
    with pytest.raises(TypeError, match=words):
        LossExchange(dict(first='x', b='y'), Several())
    exchange = LossExchange('feats', Bad())
    with pytest.raises(TypeError, match=r'named "loss_...", got \[.value.\]'):
        exchange(cohort_of(logits=[torch.zeros(2)] * 2), make_batch())
