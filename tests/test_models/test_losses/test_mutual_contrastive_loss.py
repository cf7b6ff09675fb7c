from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mmkd.models.heads import ContrastiveEmbedding
from mmkd.models.losses import MutualContrastiveLoss
from mmkd.registry import MODELS
from tests.references import mcl

TERMS = ('vcl', 'soft_vcl', 'icl', 'soft_icl')
WEIGHTS = (0.1, 1.0, 0.1, 1.0)
UNIT = dict(
    vcl_weight=1.0, soft_vcl_weight=1.0, icl_weight=1.0, soft_icl_weight=1.0
)
# of float64 and float32: relative error of losses, and of gradients
# relative to the largest entry
TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-5, 2e-4)}
LABELS = torch.tensor([3, 0, 3, 3, 0, 7, 7, 0, 7, 3])


def unit(*shape, dtype=torch.float64):
    return functional.normalize(torch.randn(*shape, dtype=dtype), dim=-1)


def values(terms):
    return {name: value.item() for name, value in terms.items()}


def assert_same_terms(ours, expected, tolerance=1e-10):
    assert list(ours) == [f'loss_{term}' for term in TERMS]
    for name, value in ours.items():
        torch.testing.assert_close(
            value, expected[name], rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_terms_and_gradients(golden, dtype):
    case = golden('mcl', 'batch_loss_m2')
    rtol, grad_rtol = TOLERANCES[dtype]
    raw = [
        torch.tensor(case[f'raw_embedding_{i}'], dtype=dtype).requires_grad_()
        for i in range(2)
    ]
    loss = MutualContrastiveLoss(
        temperature=float(case['temperature']),
        kd_temperature=float(case['kd_temperature']),
        **UNIT,
    )
    terms = loss(
        [functional.normalize(v, dim=1) for v in raw],
        torch.from_numpy(case['labels']),
    )
    for term in TERMS:
        value = terms[f'loss_{term}']
        assert value.dtype == dtype
        assert value.item() == pytest.approx(
            float(case[f'loss_{term}']), rel=rtol
        )
        grads = torch.autograd.grad(value, raw, retain_graph=True)
        for i, grad in enumerate(grads):
            expected = case[f'grad_{term}_wrt_raw_{i}']
            error = abs(grad.double().numpy() - expected).max()
            assert error <= grad_rtol * abs(expected).max()


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_with_heads(golden, dtype):
    case = golden('mcl', 'batch_loss_with_heads_m3')
    rtol, grad_rtol = TOLERANCES[dtype]
    feats, heads, embeds = [], [], []
    for i in range(3):
        feat = torch.tensor(case[f'feature_{i}'], dtype=dtype)
        feats.append(feat.requires_grad_())
        head = ContrastiveEmbedding(feat.shape[1], 32).to(dtype)
        head.load_state_dict(
            {
                key: torch.from_numpy(
                    case[f'net{i}_proj_head_{key.replace(".", "_")}']
                )
                for key in head.state_dict()
            }
        )
        heads.append(head)
        embeds.append(head(feat))
        error = abs(embeds[-1].detach().numpy() - case[f'embedding_{i}'])
        assert error.max() <= rtol
    loss = MutualContrastiveLoss()
    assert (loss.temperature, loss.kd_temperature) == (0.1, 3.0)
    terms = loss(embeds, torch.from_numpy(case['labels']))
    for term, weight in zip(TERMS, WEIGHTS, strict=True):
        expected = weight * float(case[f'loss_{term}'])
        assert terms[f'loss_{term}'].item() == pytest.approx(
            expected, rel=rtol
        )
    total = sum(terms.values())
    assert total.item() == pytest.approx(float(case['loss_total']), rel=rtol)
    total.backward()
    for i in range(3):
        found = {f'grad_total_wrt_feature_{i}': feats[i].grad}
        for key, parameter in heads[i].named_parameters():
            name = f'net{i}_proj_head_{key.replace(".", "_")}'
            found[f'grad_total_wrt_{name}'] = parameter.grad
        for name, grad in found.items():
            error = abs(grad.double().numpy() - case[name]).max()
            assert error <= grad_rtol * abs(case[name]).max(), name


@pytest.mark.parametrize('num_peers', [1, 2, 4])
@pytest.mark.parametrize('temperatures', [(0.1, 3.0), (0.5, 1.0)])
@pytest.mark.parametrize('exclude', [False, True])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-4)]
)
def test_equals_loops(num_peers, temperatures, exclude, dtype, tolerance):
    embeds = unit(num_peers, 10, 6, dtype=dtype).requires_grad_()
    loss = MutualContrastiveLoss(
        *temperatures, **UNIT, soft_exclude_self=exclude
    )
    ours = loss(list(embeds), LABELS)
    loops = mcl.batch_terms(list(embeds), LABELS, *temperatures, exclude)
    assert_same_terms(ours, loops, tolerance)
    for name, expected in loops.items():
        grad, other = (
            torch.autograd.grad(
                value, embeds, retain_graph=True, materialize_grads=True
            )[0]
            if value.requires_grad
            else torch.zeros_like(embeds)
            for value in (ours[name], expected)
        )
        torch.testing.assert_close(
            grad, other, rtol=tolerance, atol=10 * tolerance
        )
    assert_same_terms(loss(embeds, LABELS), ours)  # one tensor for a list


def test_hard_terms_by_their_definition():
    """One row after the other, no matrix of similarities."""
    embeds = unit(2, 10, 6)
    expected = {'loss_vcl': 0.0, 'loss_icl': 0.0}
    for a in range(2):
        for b in range(2):
            for r in range(10):
                s = [float(embeds[a, r] @ v) / 0.1 for v in embeds[b]]
                others = [c for c in range(10) if c != r]
                mates = [c for c in others if LABELS[c] == LABELS[r]]
                row = math.log(sum(math.exp(s[c]) for c in others))
                row -= sum(s[c] for c in mates) / len(mates)
                expected['loss_vcl' if a == b else 'loss_icl'] += row / 10
    terms = values(MutualContrastiveLoss(**UNIT)(embeds, LABELS))
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-10)


def test_identical_networks():
    embeds = unit(1, 10, 6)
    loss = MutualContrastiveLoss(**UNIT)
    single = loss(embeds, LABELS)['loss_vcl'].item()
    terms = values(loss(embeds.expand(3, -1, -1), LABELS))
    assert terms['loss_vcl'] == pytest.approx(3 * single)
    assert terms['loss_icl'] == pytest.approx(6 * single)
    assert terms['loss_soft_vcl'] == pytest.approx(0, abs=1e-12)
    assert terms['loss_soft_icl'] == pytest.approx(0, abs=1e-12)


def test_equal_embeddings_give_logarithm_of_the_batch():
    embeds = unit(6).expand(3, 10, 6)
    terms = values(MutualContrastiveLoss(**UNIT)(embeds, LABELS))
    assert terms['loss_vcl'] == pytest.approx(3 * math.log(9))
    assert terms['loss_icl'] == pytest.approx(6 * math.log(9))


def test_invariances():
    embeds = unit(3, 10, 6)
    rotations = torch.linalg.qr(torch.randn(3, 6, 6, dtype=torch.float64))[0]
    loss = MutualContrastiveLoss()
    expected = loss(embeds, LABELS)
    order = torch.randperm(10)
    assert_same_terms(loss(embeds[:, order], LABELS[order]), expected)
    assert_same_terms(loss(embeds[[2, 0, 1]], LABELS), expected)
    assert_same_terms(loss(embeds @ rotations[0], LABELS), expected)
    apart = loss(embeds @ rotations, LABELS)
    for name in ('loss_vcl', 'loss_soft_vcl'):
        torch.testing.assert_close(apart[name], expected[name])
    assert not torch.isclose(apart['loss_icl'], expected['loss_icl'])


def test_soft_terms_are_not_negative_and_targets_are_constant():
    embeds = unit(2, 10, 6).requires_grad_()
    terms = MutualContrastiveLoss(**UNIT)(embeds, LABELS)
    assert terms['loss_soft_vcl'] > 0 and terms['loss_soft_icl'] > 0
    grad = torch.autograd.grad(terms['loss_soft_vcl'], embeds)[0]
    own = embeds @ embeds.mT / 0.1
    for a in range(2):  # the other network's distribution is a constant
        kl = mcl.soft_kl(own[1 - a], own[a], 3.0)
        expected = torch.autograd.grad(kl, embeds, retain_graph=True)[0]
        assert expected[1 - a].abs().max() == 0
        torch.testing.assert_close(grad[a], expected[a])


def test_only_vcl_ignores_the_other_networks():
    first, second = unit(2, 10, 6), unit(2, 10, 6)
    second[0] = first[0]
    grads = {}
    for key, embeds in (('first', first), ('second', second)):
        embeds.requires_grad_()
        terms = MutualContrastiveLoss()(embeds, LABELS)
        for name in ('loss_vcl', 'loss_icl'):
            grad = torch.autograd.grad(terms[name], embeds, retain_graph=True)
            grads[key, name] = grad[0][0]
    torch.testing.assert_close(
        grads['first', 'loss_vcl'], grads['second', 'loss_vcl']
    )
    change = grads['first', 'loss_icl'] - grads['second', 'loss_icl']
    assert change.abs().max() > 1e-3


def test_one_network_leaves_vcl_alone():
    embeds = unit(1, 10, 6).requires_grad_()
    terms = MutualContrastiveLoss(vcl_weight=0.1)(embeds, LABELS)
    for name in ('loss_soft_vcl', 'loss_icl', 'loss_soft_icl'):
        assert isinstance(terms[name], torch.Tensor)
        assert terms[name].item() == 0
        grad = torch.autograd.grad(terms[name], embeds, retain_graph=True)[0]
        assert grad.abs().max() == 0
    hard = mcl.hard_rows(embeds[0] @ embeds[0].T / 0.1, LABELS).mean()
    torch.testing.assert_close(sum(terms.values()), 0.1 * hard)


def test_large_logits_are_finite():
    embeds = unit(2, 10, 6, dtype=torch.float32).requires_grad_()
    terms = MutualContrastiveLoss(temperature=1e-3)(embeds, LABELS)
    sum(terms.values()).backward()
    assert all(value.isfinite() for value in terms.values())
    assert embeds.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    embeds = unit(2, 10, 6, dtype=torch.float32).to(dtype).requires_grad_()
    loss = MutualContrastiveLoss()
    with torch.autocast('cpu', torch.bfloat16):
        terms = loss(list(embeds), LABELS)
    sum(terms.values()).backward()
    assert embeds.grad.dtype == dtype and embeds.grad.isfinite().all()
    expected = loss(embeds.detach().float(), LABELS)
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.detach(), expected[name])


def test_float16_embeddings_change_little():
    embeds = unit(2, 10, 6, dtype=torch.float32)
    loss = MutualContrastiveLoss()
    assert_same_terms(loss(embeds.half(), LABELS), loss(embeds, LABELS), 1e-2)


def test_weights_scale_their_terms():
    embeds = unit(2, 10, 6)
    unweighted = MutualContrastiveLoss(**UNIT)(embeds, LABELS)
    weighted = MutualContrastiveLoss(
        vcl_weight=2.0, soft_vcl_weight=3.0, icl_weight=5.0, soft_icl_weight=0
    )(embeds, LABELS)
    factors = dict(zip(unweighted, (2, 3, 5, 0), strict=True))
    assert_same_terms(
        weighted, {key: factors[key] * unweighted[key] for key in factors}
    )


@pytest.mark.parametrize('exclude', [False, True])
def test_gradcheck(exclude):
    embeds = unit(2, 6, 3).requires_grad_()
    labels = torch.tensor([0, 1, 0, 1, 1, 0])

    def hard(v):
        loss = MutualContrastiveLoss(0.5, soft_exclude_self=exclude)
        terms = loss(v, labels)
        return terms['loss_vcl'] + terms['loss_icl']

    assert torch.autograd.gradcheck(hard, embeds)


def test_lonely_samples():
    embeds = unit(2, 6, 4).requires_grad_()
    labels = torch.tensor([0, 1, 0, 2, 0, 3])
    with pytest.raises(ValueError, match='sampler needed: 3 of 6 samples'):
        MutualContrastiveLoss()(embeds, labels)
    loss = MutualContrastiveLoss(**UNIT, ignore_lonely=True)
    terms = loss(embeds, labels)
    vcl = icl = 0
    for a in range(2):
        for b in range(2):
            rows = mcl.hard_rows(embeds[a] @ embeds[b].T / 0.1, labels)
            mean = rows[[0, 2, 4]].mean()
            vcl, icl = (vcl + mean, icl) if a == b else (vcl, icl + mean)
    torch.testing.assert_close(terms['loss_vcl'], vcl)
    torch.testing.assert_close(terms['loss_icl'], icl)
    soft = mcl.batch_terms(embeds, torch.zeros(6))  # labels do not matter
    for name in ('loss_soft_vcl', 'loss_soft_icl'):
        torch.testing.assert_close(terms[name], soft[name])

    nobody = loss(embeds, torch.arange(6))
    sum(nobody.values()).backward()
    assert nobody['loss_vcl'] == 0 and nobody['loss_icl'] == 0
    assert embeds.grad.isfinite().all()
    one = loss(embeds[:, :1], torch.tensor([4]))
    assert sum(one.values()) == 0


def test_ignoring_changes_nothing_without_lonely_samples():
    embeds = unit(2, 10, 6)
    assert_same_terms(
        MutualContrastiveLoss(ignore_lonely=True)(embeds, LABELS),
        MutualContrastiveLoss()(embeds, LABELS),
    )


def test_gather_without_processes_changes_nothing():
    embeds = unit(2, 10, 6)
    assert_same_terms(
        MutualContrastiveLoss(gather=True)(embeds, LABELS),
        MutualContrastiveLoss()(embeds, LABELS),
    )


@pytest.mark.parametrize(
    'labels',
    [
        torch.zeros(4, 3),
        torch.zeros(4),
        torch.zeros(4, dtype=torch.bool),
        torch.zeros(5, dtype=torch.long),
        torch.zeros(4, 1, dtype=torch.long),
    ],
)
def test_wrong_labels(labels):
    with pytest.raises(ValueError, match=r'labels must be \(4,\) integers'):
        MutualContrastiveLoss()(unit(2, 4, 3), labels)


@pytest.mark.parametrize(
    ('shapes', 'message'),
    [
        ([(4, 3), (5, 3)], r'\[\(4, 3\), \(5, 3\)\]'),
        ([(4, 3), (4, 2)], 'feat_dim'),
        ([(4, 3, 1, 1)], r'one shape \(B, d\)'),
        ([], 'embeddings must have one shape'),
    ],
)
def test_wrong_embeddings(shapes, message):
    labels = torch.zeros(4, dtype=torch.long)
    with pytest.raises(ValueError, match=message):
        MutualContrastiveLoss()([torch.zeros(s) for s in shapes], labels)


@pytest.mark.parametrize('key', ['temperature', 'kd_temperature'])
@pytest.mark.parametrize('value', [0, -1.5])
def test_wrong_temperatures(key, value):
    with pytest.raises(ValueError, match=f'{key}={value} must be positive'):
        MutualContrastiveLoss(**{key: value})


def test_registered():
    loss = MODELS.build(dict(type='mmkd.MutualContrastiveLoss', icl_weight=2))
    assert loss.icl_weight == 2
    assert 'icl_weight=2' in repr(loss)
