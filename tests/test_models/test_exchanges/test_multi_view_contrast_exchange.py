from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.exchanges import CohortSpec
from mmkd.registry import MODELS
from tests.references import mcl_okd

LABELS = torch.arange(12) % 3
INDEX = torch.tensor([0, 4, 7, 11])


def build(num_peers=3, contrast=(), **settings):
    exchange = MODELS.build(
        dict(
            type='mmkd.MultiViewContrastExchange',
            contrast=dict(
                type='mmkd.MemoryNCELoss',
                num_samples=len(LABELS),
                num_negatives=8,  # all samples of other classes
                **dict(contrast),
            ),
            **settings,
        )
    )
    shapes = [dict(embeds=torch.Size([2, 5]), logits=torch.Size([2, 4]))]
    exchange.setup(CohortSpec(num_peers, shapes * num_peers))
    return exchange.double()


@pytest.fixture
def peers(cohort_of):
    kind = dict(dtype=torch.float64)
    return cohort_of(
        embeds=[
            functional.normalize(torch.randn(4, 5, **kind), dim=1)
            for _ in range(3)
        ],
        logits=[
            torch.randn(4, 4, requires_grad=True, **kind) for _ in range(3)
        ],
    )


@pytest.fixture
def batch(make_batch):
    return make_batch(LABELS[INDEX], sample_idx=INDEX)


def test_terms(peers, batch):
    exchange = build(kd_weight=0.5, contrast_weight=0.2)
    exchange.contrast.set_dataset_labels(LABELS, torch.device('cpu'))
    banks = [bank.clone() for bank in exchange.contrast.banks]
    losses = exchange(peers, batch)
    assert set(losses) == {'peer2.loss_kd', 'loss_contrast'}
    columns = torch.stack(
        [
            torch.cat([row[None], (LABELS[row] != LABELS).nonzero()[:, 0]])
            for row in INDEX
        ]
    )
    expected = mcl_okd.contrast(
        banks, [peer['embeds'] for peer in peers], columns, 0.1
    )
    torch.testing.assert_close(losses['loss_contrast'], 0.2 * expected)
    logits = [peer['logits'] for peer in peers]
    target = ((sum(logits) / 3) / 3).softmax(1)
    log_ratio = target.log() - (logits[-1] / 3).log_softmax(1)
    kd = 9 * (target * log_ratio).sum(1).mean()
    torch.testing.assert_close(losses['peer2.loss_kd'], 0.5 * kd)


def test_only_the_last_peer_imitates(peers, batch):
    exchange = build().eval()
    loss = exchange(peers, batch)['peer2.loss_kd']
    logits = [peer['logits'] for peer in peers]
    grads = torch.autograd.grad(loss, logits, allow_unused=True)
    assert grads[:2] == (None, None) and grads[2].abs().sum() > 0
    shifted = [dict(p, logits=p['logits'] + 3.0) for p in peers[:1]]
    torch.testing.assert_close(
        exchange([*shifted, *peers[1:]], batch)['peer2.loss_kd'], loss
    )
    assert set(build(kd_weight=0).eval()(peers, batch)) == {'loss_contrast'}


def test_sizes_are_filled_in():
    exchange = build()
    assert exchange.contrast.num_peers == 3
    assert exchange.contrast.embedding_dim == 5
    assert list(exchange.state_dict()) == [
        f'contrast.bank_{k}' for k in range(3)
    ]


def test_messages(peers, batch):
    with pytest.raises(ValueError, match='mmkd.DatasetLabelsHook'):
        build()(peers, batch)
    with pytest.raises(ValueError, match='num_peers=2.* 3 peers; leave'):
        build(contrast=dict(num_peers=2))
    with pytest.raises(ValueError, match='at least 2 peers'):
        build(1)
    with pytest.raises(ValueError, match='must name the tensors embeds'):
        build(on=dict(logits='logits'))
    with pytest.raises(TypeError, match='exchange.contrast'):
        MODELS.build(
            dict(type='mmkd.MultiViewContrastExchange', contrast='nce')
        )
