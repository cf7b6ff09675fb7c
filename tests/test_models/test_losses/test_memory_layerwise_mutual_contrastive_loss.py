from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.heads import ContrastiveEmbedding
from mmkd.models.losses import MemoryLayerwiseMutualContrastiveLoss
from mmkd.models.losses.layerwise_pairs import pair_weights_from_list
from tests.references import lmcl
from tests.test_models.test_losses.test_layerwise_mutual_contrastive_loss import (  # noqa: E501
    TERMS,
    TOLERANCES,
    UNIT,
    assert_near,
    load,
    random_weights,
    total,
    unit,
)

GOLDEN_NAMES = dict(own='own_bank', first='published')


def make(num_peers=2, num_samples=60, feat_dim=8, **settings):
    return MemoryLayerwiseMutualContrastiveLoss(
        num_peers, num_samples, feat_dim, **{**UNIT, **settings}
    )


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('intra_bank', GOLDEN_NAMES)
def test_golden(golden, dtype, intra_bank):
    case = golden('lmcl', 'memory_layerwise_m2_s2')
    rtol, grad_rtol = TOLERANCES[dtype]
    loss = make(
        temperature=float(case['temperature']),
        momentum=float(case['memory_momentum']),
        intra_bank=intra_bank,
    ).to(dtype)
    for i in range(2):
        loss.banks[i] = torch.from_numpy(case[f'memory_before_{i}'])
    feats, embeds = [], []
    for i in range(2):
        for j in range(2):
            name = f'head_{i}_{j}_proj_head'
            feat = torch.tensor(case[f'feature_{i}_{j}'], dtype=dtype)
            head = ContrastiveEmbedding(feat.shape[1], 8).to(dtype)
            load(head[0], case, f'{name}_0')
            load(head[2], case, f'{name}_2')
            feats.append(feat.requires_grad_())
            embeds.append(head(feat))
    listed = torch.tensor(case['pair_weights_in_order'], dtype=dtype)
    terms = loss(
        [embeds[:2], embeds[2:]],
        torch.from_numpy(case['pos_idx']),
        torch.from_numpy(case['neg_idx']),
        pair_weights_from_list(listed, 2, 2),
    )
    name = GOLDEN_NAMES[intra_bank]
    for term in TERMS:
        assert terms[f'loss_{term}'].item() == pytest.approx(
            case[f'{name}_loss_{term}'], rel=rtol
        )
    grads = torch.autograd.grad(total(terms, (0.01, 1, 0.01, 1)), feats)
    for k, grad in enumerate(grads):
        key = f'{name}_grad_total_wrt_feature_{k // 2}_{k % 2}'
        assert_near(grad, case[key], grad_rtol)
    for i in range(2):
        assert_near(loss.banks[i], case[f'memory_after_{i}'], rtol)


@pytest.mark.parametrize('intra_bank', GOLDEN_NAMES)
def test_equals_the_pair_loop(intra_bank):
    embeds = unit(3, 2, 5, 8).requires_grad_()
    weights = random_weights(3, 2, 5).requires_grad_()
    loss = make(3, intra_bank=intra_bank).double().eval()
    before = loss.banks.clone()
    pos, neg = torch.randint(60, (5, 3)), torch.randint(60, (5, 7))
    ours = loss(embeds, pos, neg, weights)
    slow = lmcl.memory_terms(
        embeds, loss.banks, pos, neg, weights, intra_bank=intra_bank
    )
    for term, value in ours.items():
        torch.testing.assert_close(value, slow[term], rtol=1e-11, atol=0)
        for mine, theirs in zip(
            torch.autograd.grad(value, [embeds, weights], retain_graph=True),
            torch.autograd.grad(
                slow[term], [embeds, weights], retain_graph=True
            ),
            strict=True,
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
    assert torch.equal(loss.banks, before)  # eval mode


def test_second_derivative_with_respect_to_the_weights():
    embeds = unit(2, 2, 5, 8).requires_grad_()
    weights = random_weights(2, 2, 5).requires_grad_()
    loss = make().double().eval()
    pos, neg = torch.randint(60, (5, 2)), torch.randint(60, (5, 7))
    value = total(loss(embeds, pos, neg, weights))
    (grad,) = torch.autograd.grad(value, embeds, create_graph=True)
    c = torch.randn_like(grad)
    (mixed,) = torch.autograd.grad((grad * c).sum(), weights)
    # linear in the weights: the product itself, at the weights
    torch.testing.assert_close((mixed * weights).sum(), (grad * c).sum())


def test_each_bank_is_gathered_once_per_step():
    loss = make(3).double()
    count = 0

    class Counting(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            nonlocal count
            count += func is torch.Tensor.__getitem__ and torch.is_tensor(
                args[1]
            )
            return super().__torch_function__(func, types, args, kwargs or {})

    loss.banks = loss.banks.as_subclass(Counting)
    pos, neg = torch.randint(60, (5, 2)), torch.randint(60, (5, 7))
    loss.eval()(unit(3, 2, 5, 8), pos, neg)
    assert count == 3


def test_averages_pairs():
    embeds, loss = unit(2, 3, 5, 8), make().double().eval()
    pos, neg = torch.randint(60, (5, 2)), torch.randint(60, (5, 7))
    whole = total(loss(embeds, pos, neg))
    loss.average_pairs = True
    torch.testing.assert_close(18 * total(loss(embeds, pos, neg)), whole)


def test_messages():
    with pytest.raises(ValueError, match="intra_bank='both' is unknown"):
        make(intra_bank='both')
    loss = make()
    pos, neg = torch.zeros(5, 2).long(), torch.zeros(5, 7).long()
    with pytest.raises(ValueError, match='num_peers=2, but embeddings'):
        loss(functional.normalize(torch.randn(3, 2, 5, 8), dim=-1), pos, neg)
    with pytest.raises(ValueError, match='neg_idx must be integers'):
        loss(torch.ones(2, 2, 5, 8), pos, neg[:3])
    with pytest.raises(ValueError, match='reaches from 60 to 60'):
        loss(torch.ones(2, 2, 5, 8), pos, neg + 60)
