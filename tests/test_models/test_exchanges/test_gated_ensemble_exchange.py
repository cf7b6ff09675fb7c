from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.exchanges import CohortSpec, GatedEnsembleExchange
from tests.references import okd_baselines as reference

ON = dict(trunk='backbone.layer2', logits='head.fc')


def make_peers(cohort_of, count=3, shape=(4, 6), dtype=torch.float64):
    trunk = torch.randn(shape[0], 8, 5, 5, dtype=dtype, requires_grad=True)
    logits = [
        torch.randn(shape, dtype=dtype, requires_grad=True)
        for _ in range(count)
    ]
    return cohort_of(trunk=[trunk] * count, logits=logits)


def build(set_up, peers, **settings):
    return set_up(GatedEnsembleExchange(ON, **settings), peers).double()


def test_golden(golden, assert_close, cohort_of, make_batch, set_up):
    case = golden('okd_baselines', 'one_epoch0')
    arrays = {key: torch.from_numpy(value) for key, value in case.items()}
    for key, value in arrays.items():  # only the authors' errors remain
        arrays[key] = value.double() if value.is_floating_point() else value
    trunk = arrays['shared_feature'].requires_grad_()
    convs, linears = [], []
    for k in (1, 2, 3):
        convs.append(nn.Conv2d(8, 6, 1, stride=2, bias=False))
        linears.append(nn.Linear(6, 7))
        convs[-1].weight.data = arrays[f'param_layer3_{k}_weight']
        linears[-1].weight.data = arrays[f'param_classfier3_{k}_weight']
        linears[-1].bias.data = arrays[f'param_classfier3_{k}_bias']
    logits = [
        linear(conv(trunk).mean((2, 3)))
        for conv, linear in zip(convs, linears, strict=True)
    ]
    peers = cohort_of(trunk=[trunk] * 3, logits=logits)
    exchange = GatedEnsembleExchange(
        ON,
        transfer_loss=dict(
            type='mmkd.KLDivLoss',
            temperature=float(case['temperature']),
            target_epsilon=1e-7,
        ),
    )
    set_up(exchange, peers).double()
    gate, norm = exchange.gate[0], exchange.gate[1]
    gate.weight.data = arrays['param_control_v1_weight']
    gate.bias.data = arrays['param_control_v1_bias']
    norm.weight.data = arrays['param_bn_v1_weight']
    norm.bias.data = arrays['param_bn_v1_bias']

    batch = make_batch(arrays['target'], epoch=int(case['epoch']))
    assert exchange.ramp(batch) == pytest.approx(
        float(case['rampup_weight']), rel=1e-9
    )
    losses = exchange(peers, batch)
    total = sum(losses.values()) + sum(batch.hard_loss(z) for z in logits)
    total.backward()
    for k, z in enumerate(logits):
        assert_close(z, case[f'logit_{k}'])
    assert_close(
        exchange.auxiliary(peers, batch)['gated'], case['gated_logit']
    )
    assert_close(total, case['loss_total'])
    assert_close(trunk.grad, case['grad_shared_feature'], 1e-4, 1e-6)
    assert_close(gate.weight.grad, case['grad_gate_weight'], 1e-4, 1e-6)
    assert_close(norm.weight.grad, case['grad_gate_bn_weight'], 1e-4, 1e-6)
    for k in range(3):
        conv, linear = convs[k].weight.grad, linears[k].weight.grad
        assert_close(conv, case[f'grad_branch{k}_conv'], 1e-4, 1e-6)
        assert_close(linear, case[f'grad_branch{k}_fc'], 1e-4, 1e-6)


def test_equals_the_loop(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    logits = [peer['logits'] for peer in peers]
    exchange = build(set_up, peers)
    batch = make_batch(torch.tensor([0, 5, 2, 1]), epoch=20)
    weights = exchange.weights(peers[0]['trunk'])
    ensemble = reference.gated(weights, logits)
    expected = {'gated.loss_task': batch.hard_loss(ensemble)}
    for i, z in enumerate(logits):
        kd = reference.kd(z, ensemble.detach(), 3.0)
        expected[f'peer{i}.loss_kd'] = reference.ramp(20, 80) * kd
    torch.testing.assert_close(exchange(peers, batch), expected)


def test_weights_are_positive_and_sum_to_one(cohort_of, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    weights = exchange.weights(peers[0]['trunk'])
    assert weights.shape == (4, 3) and weights.min() > 0
    torch.testing.assert_close(
        weights.sum(1), torch.ones(4, dtype=torch.float64)
    )
    pooled = exchange.weights(peers[0]['trunk'].mean((2, 3)))
    torch.testing.assert_close(pooled, weights)


def test_closed_gate_is_the_mean(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers)
    nn.init.constant_(exchange.gate[1].bias, -100.0)
    gated = exchange.auxiliary(peers, make_batch())['gated']
    mean = torch.stack([peer['logits'] for peer in peers]).mean(0)
    torch.testing.assert_close(gated, mean)


def test_gate_learns_from_its_own_loss_alone(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    batch = make_batch(torch.tensor([0, 1, 2, 3]))
    exchange = build(set_up, peers, ramp_epochs=0)
    losses = exchange(peers, batch)
    weight = exchange.gate[0].weight
    assert losses['gated.loss_task'].requires_grad
    kd = sum(losses[f'peer{i}.loss_kd'] for i in range(3))
    assert torch.autograd.grad(kd, weight, allow_unused=True)[0] is None
    task = exchange(peers, batch)['gated.loss_task']
    assert torch.autograd.grad(task, weight)[0].abs().max() > 1e-5


def test_deployed_in_eval_mode_without_labels(cohort_of, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers).eval()
    for name, logits in exchange.auxiliary(peers, {}).items():
        assert name in exchange.auxiliary_names
        assert logits.shape == (4, 6)
    one = [{k: v[:1] for k, v in peer.items()} for peer in peers]
    torch.testing.assert_close(
        exchange.auxiliary(one, {})['gated'],
        exchange.auxiliary(peers, {})['gated'][:1],
    )


def test_maps_and_lists_of_maps(cohort_of, set_up):
    peers = make_peers(cohort_of, shape=(4, 6, 3, 2))
    exchange = build(set_up, peers)
    gated = exchange.auxiliary(peers, {})['gated']
    weights = exchange.weights(peers[0]['trunk'])
    for i, j in ((0, 0), (2, 1)):
        here = [peer['logits'][:, :, i, j] for peer in peers]
        torch.testing.assert_close(
            gated[:, :, i, j], reference.gated(weights, here)
        )
    lists = [{**peer, 'logits': [peer['logits']] * 2} for peer in peers]
    both = exchange.auxiliary(lists, {})['gated']
    torch.testing.assert_close(both, [gated, gated])


def test_mistakes(cohort_of, make_batch, set_up):
    with pytest.raises(ValueError, match='must name the tensors trunk, logit'):
        GatedEnsembleExchange('head.fc')
    with pytest.raises(ValueError, match='at least 2 peers'):
        GatedEnsembleExchange(ON).setup(CohortSpec(1))
    with pytest.raises(ValueError, match='give it in the exchange'):
        GatedEnsembleExchange(ON).setup(CohortSpec(3))
    exchange = GatedEnsembleExchange(ON, in_channels=8)
    exchange.setup(CohortSpec(3))
    trunk = torch.zeros(1, 8, 2, 2)
    with pytest.raises(ValueError, match='batch_size of at least 2'):
        exchange.weights(trunk)
    peers = make_peers(cohort_of)
    peers[1]['trunk'] = torch.zeros(4, 16, 5, 5)
    with pytest.raises(ValueError, match='has 8 and 16 channels'):
        set_up(GatedEnsembleExchange(ON), peers)
