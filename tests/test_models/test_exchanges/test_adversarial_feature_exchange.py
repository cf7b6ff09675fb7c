from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from mmkd.models.exchanges import AdversarialFeatureExchange, CohortSpec
from tests.references import ffl_afd as reference

ON = dict(feats='backbone', logits='head.fc')


def make_peers(cohort_of, count=2, widths=(6, 6, 6), sizes=(4, 4, 4)):
    def leaf(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    return cohort_of(
        feats=[leaf(5, widths[k], sizes[k], sizes[k]) for k in range(count)],
        logits=[leaf(5, 7) for _ in range(count)],
    )


def build(set_up, peers, **settings):
    return set_up(AdversarialFeatureExchange(ON, **settings), peers).double()


def all_phases(exchange, peers, batch):
    peers = exchange.adapt(peers)
    return [
        exchange(peers, batch, phase, {}) for phase in (None, *exchange.phases)
    ]


@pytest.mark.parametrize(('count', 'key'), [(2, 'two'), (3, 'cyclic')])
def test_golden_logits(count, key, golden, cohort_of, make_batch, set_up):
    case = golden('afd', 'formula_logit_loss')
    peers = make_peers(cohort_of, count)
    for k, peer in enumerate(peers):
        peer['logits'] = torch.from_numpy(case[f'logit_{k}']).requires_grad_()
    exchange = build(set_up, peers)
    batch = make_batch(torch.from_numpy(case['target']))
    losses = exchange(peers, batch)
    if count == 3:
        assert [k for (k,) in exchange.sources] == list(case['cyclic_source'])
    total = 0.0
    for k, peer in enumerate(peers):
        own = losses[f'peer{k}.loss_kd'] + batch.hard_loss(peer['logits'])
        assert own.item() == pytest.approx(case[f'loss_{key}'][k], rel=1e-6)
        total = total + own
    total.backward()
    for k, peer in enumerate(peers):
        expected = torch.from_numpy(case[f'grad_{key}'][k])
        torch.testing.assert_close(peer['logits'].grad, expected)


class LinearJudge(nn.Module):
    """4 -> 1 and a sigmoid, without bias."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, maps):
        return functional.linear(maps.flatten(1), self.weight).sigmoid()


def test_gradients_of_an_iteration_in_closed_form(make_batch):
    """Two linear networks, all gradients at the weights of one pass."""

    def weights(*shape):
        return [
            torch.randn(shape, dtype=torch.float64, requires_grad=True)
            for _ in (0, 1)
        ]

    extract, classify, judges = weights(4, 6), weights(5, 4), weights(1, 4)
    x, y = weights(8, 6)[0].detach(), torch.arange(8) % 5
    exchange = AdversarialFeatureExchange(ON)
    shapes = dict(feats=torch.Size([2, 4, 1, 1]), logits=torch.Size([2, 5]))
    exchange.setup(CohortSpec(2, [shapes] * 2))
    exchange.discriminator = nn.ModuleList(map(LinearJudge, judges))
    feats = [x @ g.T for g in extract]
    logits = [f @ c.T for f, c in zip(feats, classify, strict=True)]
    peers = [
        dict(feats=f[..., None, None], logits=z)
        for f, z in zip(feats, logits, strict=True)
    ]
    batch = make_batch(y)
    main, judge, fool = all_phases(exchange, peers, batch)
    own = sum(map(batch.hard_loss, logits)) + sum(main.values())
    critic = sum(v for k, v in judge.items() if 'loss' in k)
    heads = [module.weight for module in exchange.discriminator]
    soft = [(z / 3).softmax(1) for z in logits]
    one_hot = functional.one_hot(y, 5)
    for k in (0, 1):
        other = 1 - k
        error = logits[k].softmax(1) - one_hot + 3 * (soft[k] - soft[other])
        scores = [(f @ judges[k].T).sigmoid() for f in feats]
        slope = [s * (1 - s) for s in scores]
        missed = -2 * (1 - scores[k]) * slope[k]
        real = -2 * (1 - scores[other]) * slope[other]
        fake = 2 * scores[k] * slope[k]
        expected = (
            (own, extract[k], (error @ classify[k]).T @ x),
            (own, classify[k], error.T @ feats[k]),
            (sum(fool.values()), extract[k], (missed @ judges[k]).T @ x),
            (critic, heads[k], real.T @ feats[other] + fake.T @ feats[k]),
        )
        for loss, leaf, grad in expected:
            (found,) = torch.autograd.grad(loss, leaf, retain_graph=True)
            torch.testing.assert_close(found, grad / 8, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('topology', ['cycle', 'pairs'])
@pytest.mark.parametrize('count', [2, 3])
def test_equals_the_loop(count, topology, cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of, count)
    exchange = build(
        set_up,
        peers,
        topology=topology,
        discriminator_weight=0.5,
        adversarial_weight=0.25,
    )
    batch = make_batch(torch.tensor([0, 5, 2, 1, 6]))
    _, judge, fool = all_phases(exchange, peers, batch)
    feats = [peer['feats'] for peer in peers]
    judges = iter(exchange.discriminator)
    for k in range(count):
        others = [(k - 1) % count]
        if topology == 'pairs':
            others = [j for j in range(count) if j != k]
        terms = []
        for j in others:
            d = next(judges)
            terms.append(reference.lsgan(d(feats[j]), d(feats[k])))
        own, other = (sum(t) / len(t) for t in zip(*terms, strict=True))
        torch.testing.assert_close(
            judge[f'peer{k}.loss_discriminator'], 0.5 * own
        )
        torch.testing.assert_close(
            fool[f'peer{k}.loss_adversarial'], 0.25 * other
        )
    assert next(judges, None) is None


def test_ring_of_logits(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of, 3)
    losses = build(set_up, peers)(peers, make_batch())
    expected = reference.ring([peer['logits'] for peer in peers], 3.0)
    for k, value in enumerate(expected):
        torch.testing.assert_close(losses[f'peer{k}.loss_kd'], value)


@pytest.mark.parametrize('count', [2, 3])
def test_who_learns_from_what(count, cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of, count, widths=(6, 4, 6))
    exchange = build(set_up, peers)
    main, judge, fool = all_phases(exchange, peers, make_batch())

    def reached(loss, leaves):
        found = torch.autograd.grad(
            loss, leaves, retain_graph=True, allow_unused=True
        )
        return {k for k, g in enumerate(found) if g is not None and g.any()}

    feats = [peer['feats'] for peer in peers]
    logits = [peer['logits'] for peer in peers]
    transfer = list(exchange.transfer.parameters())
    weights = [d.conv1.weight for d in exchange.discriminator]
    for k in range(count):
        own = main[f'peer{k}.loss_kd'], fool[f'peer{k}.loss_adversarial']
        assert reached(own[0], logits) == {k}
        assert reached(own[1], feats) == {k}
        layers = {0, 1, 2} if k == 1 else set()
        assert reached(own[1], transfer) == layers
        value = judge[f'peer{k}.loss_discriminator']
        assert reached(value, weights) == {k}
        assert reached(value, [*feats, *transfer]) == set()
        assert judge[f'peer{k}.score_real'].requires_grad is False


def test_equal_networks_cannot_be_told_apart(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    peers[1] = peers[0]
    exchange = build(set_up, peers)
    _, judge, _ = all_phases(exchange, peers, make_batch())
    for k in (0, 1):
        assert judge[f'peer{k}.score_real'] == judge[f'peer{k}.score_fake']
        assert judge[f'peer{k}.loss_discriminator'] >= 0.5


def test_unlike_peers_meet_at_a_common_shape(cohort_of, set_up):
    peers = make_peers(cohort_of, 3, (6, 4, 8), (8, 4, 4))
    exchange = build(set_up, peers)
    assert [len(layer) for layer in exchange.transfer] == [2, 2, 0]
    adapted = exchange.adapt(peers)
    assert {peer['maps'].shape for peer in adapted} == {(5, 8, 4, 4)}
    halves = peers[0]['feats'].reshape(5, 6, 4, 2, 4, 2).mean((3, 5))
    again = copy.deepcopy(exchange.transfer[0])(halves)
    torch.testing.assert_close(adapted[0]['maps'], again)
    chosen = build(set_up, peers, transfer=dict(out_channels=4))
    assert [len(layer) for layer in chosen.transfer] == [2, 0, 2]
    assert chosen.discriminator[0].in_channels == 4


def test_parameters_of_the_phases(cohort_of, set_up):
    exchange = build(set_up, make_peers(cohort_of, widths=(6, 4)))
    networks = [nn.Linear(2, 2), nn.Linear(2, 2)]
    judged, fooled = (
        {id(p) for p in exchange.phase_parameters(phase, networks)}
        for phase in exchange.phases
    )
    own = exchange.discriminator.parameters()
    assert judged == {id(p) for p in own} and not judged & fooled
    others = [m.parameters() for m in (exchange.transfer, *networks)]
    assert fooled == {id(p) for p in itertools.chain(*others)}


def test_mistakes(cohort_of, make_batch, set_up):
    exchange = AdversarialFeatureExchange
    with pytest.raises(ValueError, match='must name the tensors feats, logit'):
        exchange('head.fc')
    with pytest.raises(ValueError, match="topology='star'; choose one of cyc"):
        exchange(ON, topology='star')
    with pytest.raises(TypeError, match='exchange.discriminator=2 is of the'):
        exchange(ON, discriminator=2)
    with pytest.raises(TypeError, match=r"give dict\(pool='smallest'\)"):
        exchange(ON, transfer='smallest')
    for wrong in (dict(pool='largest'), dict(channels=4)):
        with pytest.raises(ValueError, match='knows out_channels'):
            exchange(ON, transfer=wrong)
    with pytest.raises(ValueError, match='at least 2 peers'):
        exchange(ON).setup(CohortSpec(1))
    with pytest.raises(ValueError, match='give it in the exchange'):
        exchange(ON).setup(CohortSpec(2))
    exchange(ON, discriminator=dict(in_channels=6)).setup(CohortSpec(2))
    peers = make_peers(cohort_of, sizes=(8, 4))
    words = r"peers 0 and 1 are 8x8 and 4x4; set transfer=dict\(pool='small"
    with pytest.raises(ValueError, match=words):
        build(set_up, peers, transfer=dict(pool=None))
    pooled = [{**p, 'feats': p['feats'].mean((2, 3))} for p in peers]
    words = r'"backbone" \(on.feats\) is \(5, 6\), not one map .*out_indices'
    with pytest.raises(ValueError, match=words):
        build(set_up, pooled)
    small = make_peers(cohort_of, sizes=(2, 2))
    exchange = build(set_up, small, discriminator=dict(kernel_size=2))
    with pytest.raises(ValueError, match='maps of 2x2 are too small'):
        all_phases(exchange, small, make_batch())
