from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.exchanges import CohortSpec, DiversePeersExchange
from mmkd.models.losses import KLDivLoss
from tests.references import okd_baselines as reference

ON = dict(feats='neck', logits='head.fc')


def make_peers(cohort_of, count=4, shape=(3, 6)):
    def draw(*size):
        return torch.randn(size, dtype=torch.float64, requires_grad=True)

    return cohort_of(
        feats=[draw(shape[0], 16) for _ in range(count)],
        logits=[draw(*shape) for _ in range(count)],
    )


def build(set_up, peers, **settings):
    settings = dict(ramp_epochs=0) | settings
    return set_up(DiversePeersExchange(ON, **settings), peers).double()


def test_golden(golden, assert_close, cohort_of, make_batch, set_up):
    case = golden('okd_baselines', 'okddip_early')
    arrays = {key: torch.from_numpy(value) for key, value in case.items()}
    trunk = arrays['shared_feature'].requires_grad_()
    convs, linears, feats, logits = [], [], [], []
    for k in range(4):
        convs.append(nn.Conv2d(8, 16, 1, stride=2, bias=False))
        linears.append(nn.Linear(16, 7))
        convs[k].weight.data = arrays[f'param_layer3_{k}_weight']
        linears[k].weight.data = arrays[f'param_classifier3_{k}_weight']
        linears[k].bias.data = arrays[f'param_classifier3_{k}_bias']
        maps = convs[k](trunk)
        feats.append(maps)
        logits.append(linears[k](maps.mean((2, 3))))
    peers = cohort_of(feats=feats, logits=logits)
    exchange = DiversePeersExchange(
        ON,
        loss_weight=float(case['consistency_weight']),
        ramp_epochs=0,
        transfer_loss=dict(
            type='mmkd.KLDivLoss',
            temperature=float(case['temperature']),
            target_epsilon=1e-7,
            detach_target=False,
        ),
    )
    set_up(exchange, peers)
    exchange.query.weight.data = arrays['param_query_weight_weight']
    exchange.key.weight.data = arrays['param_key_weight_weight']

    batch = make_batch(arrays['target'])
    transfers = exchange.transfers(peers, {}, batch)
    targets = torch.stack([t.target for t in transfers[:3]], 2)
    kd = sum(exchange(peers, batch).values())
    total = kd + sum(batch.hard_loss(z) for z in logits)
    total.backward()
    assert_close(torch.stack(logits[:3], 2), case['peer_logit'][:, :, :3])
    assert_close(logits[3], case['leader_logit'])
    assert_close(targets, case['peer_target_logit'])
    assert_close(total, case['loss_total'])
    assert_close(trunk.grad, case['grad_shared_feature'], 1e-4, 1e-6)
    assert_close(exchange.query.weight.grad, case['grad_query'], 1e-4, 1e-6)
    assert_close(exchange.key.weight.grad, case['grad_key'], 1e-4, 1e-6)
    for k in range(4):
        conv, linear = convs[k].weight.grad, linears[k].weight.grad
        assert_close(conv, case[f'grad_branch{k}_conv'], 1e-4, 1e-6)
        assert_close(linear, case[f'grad_branch{k}_fc'], 1e-4, 1e-6)


@pytest.mark.parametrize('leader', [-1, 0, 2])
def test_equals_the_loop(cohort_of, make_batch, set_up, leader):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers, leader=leader, temperature=2.0)
    helpers = [i for i in range(4) if i != leader % 4]
    logits = [peers[i]['logits'] for i in helpers]
    attention = reference.attention(
        [peers[i]['feats'] for i in helpers],
        exchange.query.weight,
        exchange.key.weight,
    )
    expected = {}
    for a, i in enumerate(helpers):
        target = sum(
            attention[:, a, c, None] * z for c, z in enumerate(logits)
        )
        expected[f'peer{i}.loss_kd'] = reference.kd(logits[a], target, 2.0)
    expected[f'peer{leader % 4}.loss_kd'] = reference.kd(
        peers[leader]['logits'], sum(logits) / 3, 2.0
    )
    losses = exchange(peers, make_batch())
    torch.testing.assert_close(losses, expected)
    leaves = [exchange.query.weight, *(peer['logits'] for peer in peers)]
    torch.testing.assert_close(
        torch.autograd.grad(sum(losses.values()), leaves),
        torch.autograd.grad(sum(expected.values()), leaves),
    )


def test_attention(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    rows = exchange.attention(peers).sum(2)
    torch.testing.assert_close(rows, torch.ones_like(rows))
    assert exchange.query.weight.shape == (2, 16)
    assert exchange.query.bias is None
    nn.init.zeros_(exchange.query.weight)
    mean = sum(peer['logits'] for peer in peers[:3]) / 3
    for transfer in exchange.transfers(peers, {}, make_batch()):
        torch.testing.assert_close(transfer.target, mean)


@pytest.mark.parametrize('detach', [True, False])
def test_targets_are_what_trains_the_attention(
    cohort_of, make_batch, set_up, detach
):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    exchange.transfer_loss = KLDivLoss(3.0, detach_target=detach)
    sum(exchange(peers, make_batch()).values()).backward()
    for weight in (exchange.query.weight, exchange.key.weight):
        if detach:
            assert weight.grad is None
        else:
            assert weight.grad.abs().max() > 1e-6


def test_the_leader_teaches_nobody(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    losses = build(set_up, peers)(peers, make_batch())
    helpers = sum(losses[f'peer{i}.loss_kd'] for i in range(3))
    own = [peers[3]['logits'], peers[3]['feats']]
    gradients = torch.autograd.grad(
        helpers, own, retain_graph=True, allow_unused=True
    )
    assert gradients == (None, None)
    teachers = [peer['logits'] for peer in peers[:3]]
    for gradient in torch.autograd.grad(losses['peer3.loss_kd'], teachers):
        assert gradient.abs().max() > 1e-4


def test_maps_and_lists_of_maps(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of, shape=(3, 5, 2, 4))
    exchange = build(set_up, peers)
    dense = exchange.transfers(peers, {}, make_batch())
    here = [{**p, 'logits': p['logits'][..., 1, 2]} for p in peers]
    point = exchange.transfers(here, {}, make_batch())
    lists = [{**p, 'logits': [p['logits']] * 2} for p in peers]
    levels = exchange.transfers(lists, {}, make_batch())
    for map_, vector, level in zip(dense, point, levels, strict=True):
        torch.testing.assert_close(map_.target[..., 1, 2], vector.target)
        torch.testing.assert_close(level.target, [map_.target] * 2)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(leader=4), r'leader=4, but the cohort has 4 .* one of -4..3'),
        (dict(leader=-5), 'leader=-5'),
        (dict(reduction=17), 'reduction=17 leaves nothing of 16 channels'),
        (dict(reduction=0), 'reduction=0 must be at least 1'),
        (dict(detach_target=True), 'leave the attention untrained'),
        (
            dict(transfer_loss=dict(type='mmkd.KLDivLoss')),
            'leave the attention untrained',
        ),
    ],
)
def test_wrong_settings(cohort_of, set_up, settings, message):
    with pytest.raises(ValueError, match=message):
        build(set_up, make_peers(cohort_of), **settings)


def test_wrong_cohorts(cohort_of, set_up):
    with pytest.raises(ValueError, match='at least 3 peers, the cohort has 2'):
        build(set_up, make_peers(cohort_of, count=2))
    peers = make_peers(cohort_of)
    peers[0]['feats'] = torch.zeros(3, 32)
    with pytest.raises(ValueError, match='has 16 and 32 channels'):
        build(set_up, peers)
    peers = make_peers(cohort_of)
    peers[3]['feats'] = torch.zeros(3, 32)  # the leader's are not used
    assert build(set_up, peers).query.in_features == 16
    exchange = DiversePeersExchange(ON, in_channels=24)
    exchange.setup(CohortSpec(4))
    assert exchange.key.weight.shape == (3, 24)
