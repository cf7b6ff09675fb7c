from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mmkd.models.heads import EmbeddingProjection
from mmkd.models.losses import MemoryNCELoss
from mmkd.models.losses.bank_nce import nce_criterion
from mmkd.registry import MODELS
from tests.references import mcl_okd

CPU = torch.device('cpu')
PEERS, SAMPLES, WIDTH, NEGATIVES = 3, 30, 8, 7


def build(num_peers=PEERS, **settings):
    sizes = dict(
        num_samples=SAMPLES, embedding_dim=WIDTH, num_negatives=NEGATIVES
    )
    return MemoryNCELoss(num_peers, **{**sizes, **settings}).double()


def batch(num_peers=PEERS, count=4, columns=1 + NEGATIVES, samples=SAMPLES):
    embeds = functional.normalize(
        torch.randn(num_peers, count, WIDTH, dtype=torch.float64), dim=2
    )
    index = torch.randperm(samples)[:count]
    contrast = torch.randint(samples, (count, columns))
    contrast[:, 0] = index
    return list(embeds), index, contrast


def test_golden_criterion(golden):
    case = golden('mcl_okd', 'nce_criterion')
    score = torch.tensor(case['score'][..., 0]).requires_grad_()
    loss = nce_criterion(score, int(case['n_data']))
    assert loss.item() == pytest.approx(case['loss'].item(), rel=1e-5)
    (grad,) = torch.autograd.grad(loss, score)
    torch.testing.assert_close(
        grad, torch.tensor(case['grad_score'][..., 0]), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_golden_two_iterations(golden, dtype):
    case = golden('mcl_okd', 'mcl_loss_two_iterations')
    values = {
        key: torch.tensor(v).to(dtype if v.dtype.kind == 'f' else torch.int64)
        for key, v in case.items()
    }
    width, channels = case['projection_weight_0'].shape
    peers = range(4)
    loss = MemoryNCELoss(
        num_peers=4,
        num_samples=int(case['n_data']),
        embedding_dim=width,
        num_negatives=case['it0_contrast_index'].shape[1] - 1,
        temperature=float(case['temperature']),
        momentum=float(case['momentum']),
    ).to(dtype)
    heads = [EmbeddingProjection(channels, width).to(dtype) for _ in peers]
    with torch.no_grad():
        for k, head in enumerate(heads):
            head.weight.copy_(values[f'projection_weight_{k}'])
            head.bias.copy_(values[f'projection_bias_{k}'])
            getattr(loss, f'bank_{k}').copy_(values[f'bank_init_{k}'])
    for call in ('it0', 'it1'):
        feats = [values[f'{call}_feature_{k}'].requires_grad_() for k in peers]
        value = loss(
            [head(feat) for head, feat in zip(heads, feats, strict=True)],
            values[f'{call}_sample_index'],
            values[f'{call}_contrast_index'],
        )
        expected = case[f'{call}_loss'].item()
        assert value.item() == pytest.approx(expected, rel=1e-5)
        weights = [head.weight for head in heads]
        grads = torch.autograd.grad(value, [*feats, *weights])
        close = dict(rtol=1e-4, atol=1e-6)
        for k in peers:
            torch.testing.assert_close(
                grads[k], values[f'{call}_grad_feature_{k}'], **close
            )
            torch.testing.assert_close(
                grads[4 + k],
                values[f'{call}_grad_projection_weight_{k}'],
                **close,
            )
            torch.testing.assert_close(
                getattr(loss, f'bank_{k}'),
                values[f'{call}_bank_after_{k}'],
                rtol=0,
                atol=1e-6,
            )


@pytest.mark.parametrize('samples', [SAMPLES, 300])
def test_equals_loops_over_steps(samples):
    """Both ways to the scores: 300 rows are read, 30 multiplied."""
    loss = build(num_samples=samples, temperature=0.3)
    banks = [bank.clone() for bank in loss.banks]
    for _ in range(3):
        embeds, index, contrast = batch(samples=samples)
        ours = [e.clone().requires_grad_() for e in embeds]
        plain = [e.clone().requires_grad_() for e in embeds]
        value = loss(ours, index, contrast)
        expected = mcl_okd.contrast(banks, plain, contrast, 0.3)
        torch.testing.assert_close(value, expected)
        for a, b in zip(
            torch.autograd.grad(2 * value, ours),
            torch.autograd.grad(2 * expected, plain),
            strict=True,
        ):
            torch.testing.assert_close(a, b)
        banks = mcl_okd.remember(banks, embeds, index, 0.5)
        for bank, wanted in zip(loss.banks, banks, strict=True):
            torch.testing.assert_close(bank, wanted)


def test_equal_scores_have_a_closed_form():
    loss = build(epsilon=1e-3)
    zeros = torch.zeros(PEERS, 4, WIDTH, dtype=torch.float64)
    _, index, contrast = batch()
    k, noise = NEGATIVES, 1e-3 * SAMPLES
    each = math.log(1 + k + noise) + k * math.log((k + 1 + noise) / k)
    value = loss(zeros, index, contrast)
    assert value.item() == pytest.approx(PEERS * (PEERS - 1) * each)


def test_remembered_embeddings_are_told_from_others():
    loss = build(2, embedding_dim=16, num_samples=16).eval()
    for bank in loss.banks:
        bank.copy_(torch.eye(16))
    index = torch.arange(4)
    contrast = torch.arange(5, 5 + NEGATIVES).expand(4, -1)
    contrast = torch.cat([index[:, None], contrast], 1)
    embeds = torch.eye(16, dtype=torch.float64)[:4]
    own = loss([embeds, embeds], index, contrast)
    other = embeds.roll(1, 0)
    assert own < loss([other, other], index, contrast)


def test_gradient_of_an_anchor_is_the_sum_over_banks():
    loss = build().eval()
    embeds, index, contrast = batch()
    embeds = [e.requires_grad_() for e in embeds]
    grads = torch.autograd.grad(loss(embeds, index, contrast), embeds)
    for j, anchors in enumerate(embeds):
        terms = [
            mcl_okd.pair(bank, anchors, contrast, 0.1)
            for i, bank in enumerate(loss.banks)
            if i != j
        ]
        (expected,) = torch.autograd.grad(torch.stack(terms).sum(), anchors)
        torch.testing.assert_close(grads[j], expected)
    assert all(not bank.requires_grad for bank in loss.banks)


def test_order_of_rows_negatives_and_peers_does_not_matter():
    loss = build().eval()
    embeds, index, contrast = batch()
    value = loss(embeds, index, contrast)
    rows = torch.randperm(4)
    moved = [e[rows] for e in embeds]
    torch.testing.assert_close(loss(moved, index[rows], contrast[rows]), value)
    turned = torch.cat([contrast[:, :1], contrast[:, 1:].flip(1)], 1)
    torch.testing.assert_close(loss(embeds, index, turned), value)
    other = build().eval()
    for k in range(PEERS):
        getattr(other, f'bank_{k}').copy_(loss.banks[PEERS - 1 - k])
    torch.testing.assert_close(other(embeds[::-1], index, contrast), value)


@pytest.mark.parametrize('momentum', [0.0, 0.5, 1.0])
def test_what_a_call_changes(momentum):
    loss = build(momentum=momentum)
    before = [bank.clone() for bank in loss.banks]
    embeds, index, contrast = batch()
    loss(embeds, index, contrast)
    others = torch.ones(SAMPLES, dtype=torch.bool)
    others[index] = False
    for bank, old, embed in zip(loss.banks, before, embeds, strict=True):
        assert torch.equal(bank[others], old[others])
        mixed = momentum * old[index] + (1 - momentum) * embed
        torch.testing.assert_close(
            bank[index], functional.normalize(mixed, dim=1)
        )
    before = [bank.clone() for bank in loss.banks]
    loss.eval()(embeds, index, contrast)
    loss.train().update_banks = False
    first, second = (loss(embeds, index, contrast) for _ in range(2))
    assert torch.equal(first, second)
    assert all(map(torch.equal, loss.banks, before))


def test_of_a_sample_that_occurs_twice_the_last_counts():
    loss = build()
    embeds, index, contrast = batch()
    index[0] = contrast[0, 0] = index[3]
    expected = mcl_okd.remember(loss.banks, embeds, index, 0.5)
    loss(embeds, index, contrast)
    for bank, wanted in zip(loss.banks, expected, strict=True):
        torch.testing.assert_close(bank, wanted)


def test_resumed_run_is_the_same():
    loss = build(loss_weight=0.5)
    loss(*batch())
    again = build(loss_weight=0.5)
    again.load_state_dict(loss.state_dict())
    assert list(loss.state_dict()) == ['bank_0', 'bank_1', 'bank_2']
    step = batch()
    assert torch.equal(loss(*step), again(*step))
    assert all(map(torch.equal, loss.banks, again.banks))
    assert not build(save_banks=False).state_dict()


@pytest.mark.parametrize('negatives', [2, 20, 24])
def test_negatives_are_different_samples_of_other_classes(negatives):
    """Few are drawn again where they repeat; 24 are all there are."""
    samples = 4000 if negatives == 2 else 32
    loss = build(num_negatives=negatives, num_samples=samples)
    labels = torch.arange(samples) % 4
    loss.set_dataset_labels(labels, CPU)
    index = torch.tensor([3, 17, 30])
    drawn = loss._draw(index, labels[index])
    assert torch.equal(drawn[:, 0], index)
    assert (labels[drawn[:, 1:]] != labels[index][:, None]).all()
    assert all(len(row.unique()) == negatives for row in drawn[:, 1:])


def test_too_few_others_are_drawn_with_replacement():
    loss = build(num_negatives=100)
    labels = torch.arange(SAMPLES) % 3
    loss.set_dataset_labels(labels, CPU)
    drawn = loss._draw(torch.tensor([4]), None)
    assert drawn.shape == (1, 101)
    assert (labels[drawn[:, 1:]] != labels[4]).all()


def test_without_classes_all_others_are_negatives():
    loss = build(num_negatives=200)
    (row,) = loss._draw(torch.tensor([29]), None)
    assert row[0] == 29 and 29 not in row[1:]
    assert set(row.tolist()) == set(range(SAMPLES))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Scores reach exp(1 / 0.07), more than float16 holds."""
    loss = build(temperature=0.07).float().eval()
    embeds, index, contrast = batch()
    half = [e.to(dtype) for e in embeds]
    for bank, embed in zip(loss.banks, half, strict=True):
        bank[index] = embed.float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(half, index, contrast)
    assert value.dtype == torch.float32 and value.isfinite()
    expected = loss([e.float() for e in half], index, contrast)
    torch.testing.assert_close(value, expected)


def test_defaults_are_the_published_ones():
    loss = MODELS.build(
        dict(type='mmkd.MemoryNCELoss', num_peers=2, num_samples=40)
    )
    assert (loss.num_negatives, loss.temperature) == (256, 0.1)
    assert (loss.embedding_dim, loss.momentum) == (128, 0.5)
    assert loss.epsilon == 1e-7
    bound = (3 / 128) ** 0.5
    assert all(bank.abs().max() <= bound for bank in loss.banks)
    assert not torch.equal(*loss.banks)


def test_messages():
    loss = build()
    embeds, index, contrast = batch()
    with pytest.raises(ValueError, match='num_samples=30.*has 50 samples'):
        loss.set_dataset_labels(torch.arange(50) % 5, CPU)
    with pytest.raises(ValueError, match='reaches from .* to 30'):
        loss(embeds, index.clone().fill_(30), contrast)
    with pytest.raises(ValueError, match='set num_peers=2'):
        loss(embeds[:2], index, contrast)
    with pytest.raises(ValueError, match='set embedding_dim=5'):
        loss([e[:, :5] for e in embeds], index, contrast)
    with pytest.raises(ValueError, match='one shape .* embedding_dim'):
        loss([*embeds[:2], embeds[2][:, :5]], index, contrast)
    with pytest.raises(ValueError, match='cannot be used with views'):
        loss(embeds, index[:2], contrast)
    with pytest.raises(ValueError, match='K=7.*set num_negatives=4'):
        loss(embeds, index, contrast[:, :5])
    with pytest.raises(ValueError, match='column 0 of contrast_idx'):
        loss(embeds, index, contrast.roll(1, 0))
    labels = torch.arange(SAMPLES) % 2
    loss.set_dataset_labels(labels, CPU)
    with pytest.raises(ValueError, match='the data set says otherwise'):
        loss(embeds, torch.arange(4), labels=torch.tensor([0, 0, 1, 1]))
    for wrong in (
        dict(temperature=0),
        dict(momentum=2),
        dict(num_negatives=0),
        dict(num_peers=1),
        dict(num_samples=1),
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            build(**wrong)
