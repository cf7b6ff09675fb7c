from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.exchanges import CohortSpec, MutualContrastiveExchange
from mmkd.models.losses import MutualContrastiveLoss
from mmkd.registry import MODELS


def draw(count):
    return [
        functional.normalize(torch.randn(8, 5), dim=1) for _ in range(count)
    ]


@pytest.mark.parametrize('count', [2, 4])
def test_terms_of_the_loss(cohort_of, make_batch, count):
    embeds, labels = draw(count), torch.arange(4).repeat(2)
    exchange = MODELS.build(
        dict(
            type='mmkd.MutualContrastiveExchange',
            on='embeds',
            loss=dict(type='mmkd.MutualContrastiveLoss', temperature=0.2),
            loss_weight=0.5,
        )
    )
    exchange.setup(CohortSpec(count))
    losses = exchange(cohort_of(embeds=embeds), make_batch(labels))
    expected = MutualContrastiveLoss(temperature=0.2)(embeds, labels)
    assert len(losses) == 4
    torch.testing.assert_close(
        losses, {name: 0.5 * value for name, value in expected.items()}
    )


def test_one_peer_is_a_mistake():
    exchange = MutualContrastiveExchange('embeds', MutualContrastiveLoss())
    with pytest.raises(ValueError, match='at least 2 peers'):
        exchange.setup(CohortSpec(1))
