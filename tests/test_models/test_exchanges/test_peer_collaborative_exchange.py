"""PCL: golden numbers, a loop over peers and samples, properties."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.cohorts.followers import Followers
from mmkd.models.exchanges import CohortSpec, PeerCollaborativeExchange
from mmkd.models.heads import PeerEnsembleHead
from mmkd.models.losses import KLDivLoss
from tests.references import okd_baselines as reference

ON = dict(feats='neck', logits='head.fc', mean='mean.head.fc')


def make_peers(cohort_of, count=3, dtype=torch.float64):
    def draw(*shape):
        return [
            torch.randn(shape, dtype=dtype, requires_grad=True)
            for _ in range(count)
        ]

    mean = [value.detach() for value in draw(4, 7)]
    return cohort_of(feats=draw(4, 5), logits=draw(4, 7), mean=mean)


def build(set_up, peers, **settings):
    exchange = PeerCollaborativeExchange(settings.pop('on', ON), **settings)
    return set_up(exchange, peers).double()


def test_golden_terms(golden, assert_close):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('pcl', 'kd_terms').items()
        if value.ndim
    }
    scalars = golden('pcl', 'kd_terms')
    loss = KLDivLoss(float(scalars['temperature']))
    logits = case['student_logit'].requires_grad_()
    value = loss(logits, case['target_0'])
    (grad,) = torch.autograd.grad(value, logits)
    assert_close(value, scalars['kd_loss'], 1e-5, 1e-5)
    assert_close(grad, scalars['grad_kd'], 1e-4, 1e-6)
    value = sum(loss(logits, case[f'target_{k}']) for k in (0, 1)) / 2
    (grad,) = torch.autograd.grad(value, logits)
    assert_close(value, scalars['peer_mean_loss'], 1e-5, 1e-5)
    assert_close(grad, scalars['grad_peer_mean'], 1e-4, 1e-6)


def test_golden_averages(golden):
    """The followers of the frame are the mean teachers of PCL."""
    case = golden('pcl', 'ema')
    net = nn.Linear(4, 3, bias=False)
    net.weight.data = torch.from_numpy(case['teacher_init_weight'])
    followers = Followers([net], momentum=0.999, warmup=True, buffers='own')
    for step, student, teacher, share in zip(
        case['step'],
        case['student_weight'],
        case['teacher_weight'],
        case['effective_momentum'],
        strict=True,
    ):
        state = followers.state_dict()
        state['steps'] = torch.tensor(int(step))
        followers.load_state_dict(state)
        net.weight.data = torch.from_numpy(student)
        followers.follow()
        assert followers.current() == pytest.approx(float(share), abs=1e-12)
        torch.testing.assert_close(
            followers[0].weight,
            torch.from_numpy(teacher),
            rtol=1e-5,
            atol=1e-6,
        )


def test_equals_the_loop(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=20)
    head = exchange.ensemble.fc
    ensemble = torch.cat([p['feats'] for p in peers], 1) @ head.weight.T
    ensemble = ensemble + head.bias
    expected = {'peer_ensemble.loss_task': batch.hard_loss(ensemble)}
    for i, peer in enumerate(peers):
        term = reference.kd(peer['logits'], ensemble.detach(), 3.0)
        for j, other in enumerate(peers):
            if j != i:
                term = term + 0.5 * reference.kd(
                    peer['logits'], other['mean'], 3.0
                )
        expected[f'peer{i}.loss_kd'] = reference.ramp(20, 80) * term
    torch.testing.assert_close(exchange(peers, batch), expected)


def test_who_reaches_whom(cohort_of, make_batch, set_up):
    """Targets are detached; the ensemble's own loss reaches all features."""
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=80)
    losses = exchange(peers, batch)
    weight = exchange.ensemble.fc.weight
    feats = [peer['feats'] for peer in peers]
    kd = sum(losses[f'peer{i}.loss_kd'] for i in range(3))
    grads = torch.autograd.grad(
        kd, [weight, *feats], allow_unused=True, retain_graph=True
    )
    assert grads == (None,) * 4
    for grad in torch.autograd.grad(losses['peer_ensemble.loss_task'], feats):
        assert grad.abs().max() > 1e-5


def test_nobody_learns_from_the_own_mean(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=80)
    before = exchange(peers, batch)
    peers[1]['mean'] = torch.randn(4, 7).double()
    after = exchange(peers, batch)
    same = {key for key in before if torch.equal(before[key], after[key])}
    assert same == {'peer_ensemble.loss_task', 'peer1.loss_kd'}


def test_permuted_peers(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=80)
    total = sum(exchange(peers, batch).values())
    fc = exchange.ensemble.fc
    columns = fc.weight.data.split(5, 1)
    fc.weight.data = torch.cat([columns[k] for k in (2, 0, 1)], 1)
    moved = sum(exchange([peers[k] for k in (2, 0, 1)], batch).values())
    torch.testing.assert_close(moved, total)


def test_equal_logits_teach_nothing(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=80)
    same = exchange.auxiliary(peers, batch)['peer_ensemble']
    for peer in peers:
        peer['logits'] = peer['mean'] = same
    losses = exchange(peers, batch)
    assert all(losses[f'peer{i}.loss_kd'].item() < 1e-12 for i in range(3))


def test_ramps(make_batch):
    def at(epoch, **settings):
        exchange = PeerCollaborativeExchange(ON, **settings)
        return exchange.ramp(make_batch(epoch=epoch))

    for epoch in (0, 20, 80, 200):
        assert at(epoch) == pytest.approx(reference.ramp(epoch, 80))
    steps = [at(e, ramp_form='step') for e in (0, 80, 81, 299)]
    assert steps == [0, 0, 1, 1]


def test_parts_alone(cohort_of, make_batch, set_up):
    """Weights of the two teachers; no followers at all."""
    peers = make_peers(cohort_of)
    batch = make_batch(torch.tensor([0, 6, 2, 1]), epoch=80)
    exchange = build(set_up, peers, ensemble_weight=0.25, mean_weight=0.5)
    losses = exchange(peers, batch)
    z, aux = peers[0]['logits'], exchange.auxiliary(peers, batch)
    expected = 0.25 * reference.kd(z, aux['peer_ensemble'], 3.0)
    for j in (1, 2):
        expected = expected + 0.25 * reference.kd(z, peers[j]['mean'], 3.0)
    torch.testing.assert_close(losses['peer0.loss_kd'], expected)
    on = dict(feats='neck', logits='head.fc')
    bare = [{k: v for k, v in p.items() if k != 'mean'} for p in peers]
    alone = build(set_up, bare, on=on)
    alone.load_state_dict(exchange.state_dict())
    expected = reference.kd(z, aux['peer_ensemble'], 3.0)
    torch.testing.assert_close(alone(bare, batch)['peer0.loss_kd'], expected)


def test_head_pools_maps_and_takes_unequal_widths():
    head = PeerEnsembleHead([2, 3], 4)
    maps = [torch.randn(5, 2, 3, 3), torch.randn(5, 3, 2, 2)]
    pooled = torch.cat([m.mean((2, 3)) for m in maps], 1)
    torch.testing.assert_close(head(maps), head.fc(pooled))
    assert head(maps).shape == (5, 4)


def test_mistakes(cohort_of, set_up):
    with pytest.raises(ValueError, match='must name the tensors feats, logit'):
        PeerCollaborativeExchange(dict(logits='head.fc'))
    with pytest.raises(ValueError, match="ramp_form='ramp'.*sigmoid, step"):
        PeerCollaborativeExchange(ON, ramp_form='ramp')
    with pytest.raises(ValueError, match='at least 2 peers'):
        PeerCollaborativeExchange(ON).setup(CohortSpec(1))
    with pytest.raises(ValueError, match='"feats" is not known'):
        PeerCollaborativeExchange(ON).setup(CohortSpec(3))
    with pytest.raises(ValueError, match=r'in_channels=\[2, 3\].*\[2, 4\]'):
        PeerEnsembleHead([2, 3], 4)([torch.zeros(1, 2), torch.zeros(1, 4)])
    peers = make_peers(cohort_of)
    peers[1]['logits'] = torch.zeros(4, 9)
    with pytest.raises(ValueError, match='same classes; got 7 and 9'):
        set_up(PeerCollaborativeExchange(ON), peers)
