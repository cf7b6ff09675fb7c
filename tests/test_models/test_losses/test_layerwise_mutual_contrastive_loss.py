from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.heads import ContrastiveEmbedding, LayerMatchingNetwork
from mmkd.models.losses import (
    LayerwiseMutualContrastiveLoss,
    MutualContrastiveLoss,
)
from mmkd.models.losses.layerwise_pairs import pair_weights_from_list
from tests.references import lmcl

TERMS = ('vcl', 'soft_vcl', 'icl', 'soft_icl')
WEIGHTS = (0.1, 1.0, 0.1, 1.0)
UNIT = dict(
    vcl_weight=1.0, soft_vcl_weight=1.0, icl_weight=1.0, soft_icl_weight=1.0
)
TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-5, 2e-4)}
LABELS = torch.tensor([3, 0, 3, 3, 0, 7, 7, 0])


def unit(*shape, dtype=torch.float64):
    return functional.normalize(torch.randn(*shape, dtype=dtype), dim=-1)


def random_weights(n, s, batch):
    return torch.rand(n, s, n, s, batch, dtype=torch.float64)


def total(terms, weights=WEIGHTS):
    values = zip(TERMS, weights, strict=True)
    return sum(w * terms[f'loss_{term}'] for term, w in values)


def assert_near(ours, expected, rtol):
    expected = torch.as_tensor(expected).to(ours.dtype)
    atol = rtol * float(expected.abs().max()) + 1e-12
    torch.testing.assert_close(ours, expected, rtol=0, atol=atol)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_pair(golden, dtype):
    case = golden('lmcl', 'pair_loss_weighted')
    rtol, grad_rtol = TOLERANCES[dtype]
    raw = [
        torch.tensor(case[f'raw_{k}'], dtype=dtype).requires_grad_()
        for k in 'ab'
    ]
    weight = torch.tensor(case['pair_weight'], dtype=dtype).requires_grad_()
    zero = torch.zeros_like(weight)
    pairs = torch.stack([zero, weight, zero, zero]).view(2, 1, 2, 1, -1)
    loss = LayerwiseMutualContrastiveLoss(
        float(case['temperature']), float(case['kd_temperature']), **UNIT
    )
    terms = loss(
        [[functional.normalize(v, dim=1)] for v in raw],
        torch.from_numpy(case['labels']),
        pairs,
    )
    for term in TERMS:
        value = terms[f'loss_{term}']
        assert value.dtype == dtype
        assert value.item() == pytest.approx(case[f'loss_{term}'], rel=rtol)
        grads = torch.autograd.grad(value, [*raw, weight], retain_graph=True)
        names = ('raw_a', 'raw_b', 'weight')
        for name, grad in zip(names, grads, strict=True):
            assert_near(grad, case[f'grad_{term}_wrt_{name}'], grad_rtol)


def golden_cohort(case, dtype):
    """Features, embedding heads and matching network of a golden case."""
    n, s = int(case['num_nets']), int(case['num_stages'])
    feats = [
        [torch.tensor(case[f'feature_{i}_{j}'], dtype=dtype) for j in range(s)]
        for i in range(n)
    ]
    matching = LayerMatchingNetwork(
        [[f.shape[1] for f in peer] for peer in feats]
    ).to(dtype)
    heads = []
    for i in range(n):
        for j in range(s):
            name = f'head_{i}_{j}_proj_head'
            shape = case[f'{name}_0_weight'].shape
            head = ContrastiveEmbedding(shape[1], shape[0]).to(dtype)
            load(head[0], case, f'{name}_0')
            load(head[2], case, f'{name}_2')
            load(matching.projections[i][j], case, f'metaproj_{i}_{j}')
            heads.append(head)
    return feats, heads, matching


@torch.no_grad()
def load(linear, case, name):
    linear.weight.copy_(torch.from_numpy(case[f'{name}_weight']))
    linear.bias.copy_(torch.from_numpy(case[f'{name}_bias']))


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_cohort_with_heads_and_matching(golden, dtype):
    case = golden('lmcl', 'layerwise_loss_m3_s2')
    rtol, grad_rtol = TOLERANCES[dtype]
    feats, heads, matching = golden_cohort(case, dtype)
    n, s = len(feats), len(feats[0])
    flat = [f.requires_grad_() for peer in feats for f in peer]
    embeds = [head(f) for head, f in zip(heads, flat, strict=True)]
    embeds = [embeds[i * s : (i + 1) * s] for i in range(n)]
    weights = matching(feats)
    listed = torch.tensor(case['pair_weights_in_order'], dtype=dtype)
    assert_near(weights, pair_weights_from_list(listed, n, s), rtol)
    pairs = case['pair_order_netA_netB_stageA_stageB'].tolist()
    ours = [[i, j, k, z] for i, k, j, z in lmcl.ordered_pairs(n, s)]
    assert ours == pairs
    loss = LayerwiseMutualContrastiveLoss(
        float(case['temperature']), float(case['kd_temperature']), **UNIT
    )
    labels = torch.from_numpy(case['labels'])
    terms = loss(embeds, labels, weights)
    for term in TERMS:
        expected = case[f'loss_{term}']
        assert terms[f'loss_{term}'].item() == pytest.approx(
            expected, rel=rtol
        )
    value = total(terms)
    assert value.item() == pytest.approx(case['loss_total'], rel=rtol)
    projections = [p for peer in matching.projections for p in peer]
    wanted = [*flat, *(p.weight for p in projections)]
    wanted += [p.bias for p in projections]
    grads = torch.autograd.grad(value, wanted, retain_graph=True)
    names = [f'{i}_{j}' for i in range(n) for j in range(s)]
    keys = [f'feature_{name}' for name in names]
    keys += [f'metaproj_{name}_weight' for name in names]
    keys += [f'metaproj_{name}_bias' for name in names]
    for key, grad in zip(keys, grads, strict=True):
        assert_near(grad, case[f'grad_total_wrt_{key}'], grad_rtol)
    constant = total(loss(embeds, labels, weights.detach()))
    for name, grad in zip(
        names, torch.autograd.grad(constant, flat), strict=True
    ):
        expected = case[f'grad_detached_weights_wrt_feature_{name}']
        assert_near(grad, expected, grad_rtol)


@pytest.mark.parametrize('exclude', [False, True])
def test_equals_the_pair_loop_with_unequal_weights(exclude):
    embeds = unit(3, 2, 8, 5).requires_grad_()
    weights = random_weights(3, 2, 8).requires_grad_()
    ours = LayerwiseMutualContrastiveLoss(soft_exclude_self=exclude, **UNIT)(
        embeds, LABELS, weights
    )
    slow = lmcl.batch_terms(embeds, LABELS, weights, soft_exclude_self=exclude)
    other = torch.eye(3)[:, None, :, None, None] == 0
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
    # weights inside a peer are not read
    changed = torch.where(other, weights, 7.0)
    again = LayerwiseMutualContrastiveLoss(soft_exclude_self=exclude, **UNIT)(
        embeds, LABELS, changed
    )
    torch.testing.assert_close(again, ours)


def test_second_derivatives():
    embeds = unit(2, 2, 8, 3).requires_grad_()
    weights = random_weights(2, 2, 8).requires_grad_()
    loss = LayerwiseMutualContrastiveLoss()

    def value(e, w):
        return sum(loss(e, LABELS, w).values())

    # targets are detached, so only <gradient, c> itself can be compared
    c = torch.randn_like(embeds)

    def product(w):
        (grad,) = torch.autograd.grad(
            value(embeds, w), embeds, create_graph=True
        )
        return (grad * c).sum()

    (mixed,) = torch.autograd.grad(product(weights), weights)
    direction = torch.randn_like(weights)
    step = 1e-4
    with torch.enable_grad():
        ahead = product((weights + step * direction).detach())
        behind = product((weights - step * direction).detach())
    torch.testing.assert_close(
        (mixed * direction).sum(),
        (ahead - behind).detach() / (2 * step),
        rtol=1e-7,
        atol=1e-9,
    )


@pytest.mark.parametrize('num_peers', [2, 3])
def test_one_stage_is_mcl_counted_twice(num_peers):
    embeds = unit(num_peers, 8, 5)
    ours = LayerwiseMutualContrastiveLoss(**UNIT)(embeds[:, None], LABELS)
    mcl = MutualContrastiveLoss(**UNIT)(embeds, LABELS)
    for term in TERMS:
        times = 2 * (num_peers - 1) if term == 'vcl' else 2
        torch.testing.assert_close(
            ours[f'loss_{term}'], times * mcl[f'loss_{term}']
        )


def test_linear_in_the_weights_and_symmetric_in_the_peers():
    embeds, weights = unit(2, 3, 8, 5), random_weights(2, 3, 8)
    weights = weights + weights.permute(2, 3, 0, 1, 4)
    loss = LayerwiseMutualContrastiveLoss()
    once = loss(embeds, LABELS, weights)
    torch.testing.assert_close(
        total(loss(embeds, LABELS, 3 * weights)), 3 * total(once)
    )
    swapped = loss(embeds.flip(0), LABELS, weights.flip(0, 2))
    torch.testing.assert_close(swapped, once)
    assert all(v == 0 for v in loss(embeds, LABELS, 0 * weights).values())
    mean = LayerwiseMutualContrastiveLoss(average_pairs=True)
    torch.testing.assert_close(
        18 * total(mean(embeds, LABELS, weights)), total(once)
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_and_equal_embeddings(dtype):
    embeds = torch.ones(2, 2, 8, 4, dtype=dtype) / 2
    terms = LayerwiseMutualContrastiveLoss()(embeds, LABELS)
    assert all(v.dtype == torch.float32 for v in terms.values())
    assert all(v.isfinite() for v in terms.values())
    assert terms['loss_soft_vcl'].abs() < 1e-5


def test_messages():
    loss = LayerwiseMutualContrastiveLoss()
    ragged = [list(unit(2, 8, 4)), list(unit(3, 8, 4))]
    with pytest.raises(ValueError, match=r'got \[2, 3\] stages'):
        loss(ragged, LABELS)
    with pytest.raises(ValueError, match='pair_weights must be .*got'):
        loss(unit(2, 2, 8, 4), LABELS, torch.ones(2, 2, 8))
    with pytest.raises(ValueError, match='one shape'):
        loss([[unit(8, 4)], [unit(7, 4)]], LABELS)
    with pytest.raises(ValueError, match='class-aware sampler needed'):
        loss(unit(2, 1, 8, 4), torch.arange(8))
    with pytest.raises(ValueError, match='make 8 pairs, got 3'):
        pair_weights_from_list(torch.ones(3, 4), 2, 2)
