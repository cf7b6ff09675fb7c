from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.exchanges import (
    CohortSpec,
    MemoryMutualContrastiveExchange,
)
from mmkd.models.losses import MemoryMutualContrastiveLoss
from mmkd.registry import MODELS

LABELS = torch.arange(12) % 3


def build(num_peers=2, **settings):
    exchange = MODELS.build(
        dict(
            type='mmkd.MemoryMutualContrastiveExchange',
            on='embeds',
            loss=dict(
                type='mmkd.MemoryMutualContrastiveLoss',
                num_peers=num_peers,
                num_samples=len(LABELS),
                feat_dim=5,
            ),
            num_positives=2,
            num_negatives=6,
            **settings,
        )
    )
    exchange.setup(CohortSpec(num_peers))
    return exchange


def draw(count=2, rows=4):
    return [
        functional.normalize(torch.randn(rows, 5), dim=1) for _ in range(count)
    ]


@pytest.mark.parametrize('count', [2, 3])
def test_terms_of_the_loss_at_drawn_indices(cohort_of, make_batch, count):
    exchange = build(count, loss_weight=0.5)
    exchange.set_dataset_labels(LABELS, torch.device('cpu'))
    index = torch.tensor([0, 4, 7, 11])
    batch = make_batch(LABELS[index], sample_idx=index)
    embeds = draw(count)
    loss = MemoryMutualContrastiveLoss(count, len(LABELS), 5)
    loss.load_state_dict(exchange.loss.state_dict())

    torch.manual_seed(3)
    losses = exchange(cohort_of(embeds=embeds), batch)
    torch.manual_seed(3)
    positives, negatives = exchange.contrast_indices(index)
    assert positives.shape == (4, 3) and negatives.shape == (4, 6)
    assert (LABELS[positives] == batch['labels'][:, None]).all()
    assert (LABELS[negatives] != batch['labels'][:, None]).all()
    expected = loss(embeds, positives, negatives)
    assert len(losses) == 4
    torch.testing.assert_close(
        losses, {name: 0.5 * value for name, value in expected.items()}
    )
    assert torch.equal(exchange.loss.banks, loss.banks)


def test_runs_once_the_classes_are_known(cohort_of, make_batch):
    exchange = build()
    keys = list(exchange.state_dict())
    assert not exchange.ready
    batch = make_batch(torch.zeros(2), sample_idx=torch.tensor([0, 3]))
    with pytest.raises(ValueError, match='mmkd.DatasetLabelsHook'):
        exchange(cohort_of(embeds=draw(rows=2)), batch)
    exchange.set_dataset_labels(LABELS.tolist(), torch.device('cpu'))
    assert exchange.ready
    assert list(exchange.state_dict()) == keys == ['loss.banks']


def test_indices_of_another_data_set(cohort_of, make_batch):
    exchange = build()
    exchange.set_dataset_labels(LABELS, torch.device('cpu'))
    batch = make_batch(
        torch.tensor([0, 1, 2, 0]), sample_idx=torch.tensor([0, 1, 3, 6])
    )
    with pytest.raises(ValueError, match='count a part of the set'):
        exchange(cohort_of(embeds=draw()), batch)


def test_wrong_numbers():
    exchange = build()
    with pytest.raises(ValueError, match='num_samples=12, but .* 9 samples'):
        exchange.set_dataset_labels(LABELS[:9], torch.device('cpu'))
    with pytest.raises(ValueError, match='num_peers=2, but the cohort has 3'):
        exchange.setup(CohortSpec(3))
    single = MemoryMutualContrastiveExchange('embeds', exchange.loss)
    with pytest.raises(ValueError, match='at least 2 peers'):
        single.setup(CohortSpec(1))
