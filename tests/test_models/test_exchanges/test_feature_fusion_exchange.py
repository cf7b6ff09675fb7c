from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges import CohortSpec, FeatureFusionExchange
from tests.references import ffl_afd as reference
from tests.references.okd_baselines import ramp
from tests.test_models.test_heads.test_feature_fusion_head import load_authors

ON = dict(feats='backbone', logits='head.fc')


def make_peers(cohort_of, count=2, classes=6, widths=(4, 4, 4)):
    def leaf(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    return cohort_of(
        feats=[leaf(4, widths[k], 5, 5) for k in range(count)],
        logits=[leaf(4, classes) for _ in range(count)],
    )


def build(set_up, peers, **settings):
    return set_up(FeatureFusionExchange(ON, **settings), peers).double()


def test_golden(golden, assert_close, cohort_of, make_batch, set_up):
    case = golden('ffl', 'objective_epoch0')
    peers = cohort_of(
        **{
            role: [
                torch.from_numpy(case[f'{name}_{k}']).requires_grad_()
                for k in (0, 1)
            ]
            for role, name in (('feats', 'feature'), ('logits', 'logit'))
        }
    )
    exchange = set_up(FeatureFusionExchange(ON), peers)
    load_authors(exchange.fusion, case)
    batch = make_batch(torch.from_numpy(case['target']), epoch=0)
    losses = exchange(peers, batch)
    own = [batch.hard_loss(peer['logits']) for peer in peers]
    weight = float(case['rampup_weight'])
    for k in (0, 1):
        assert_close(own[k], case[f'ce_{k}'], 1e-5, 1e-5)
        kl = losses[f'peer{k}.loss_kd'] / weight
        assert_close(kl, case[f'kl_fused_to_{k}'], 1e-5, 1e-5)
    assert_close(losses['fused.loss_task'], case['ce_fused'], 1e-5, 1e-5)
    kl = losses['fused.loss_kd'] / weight
    assert_close(kl, case['kl_ensemble_to_fused'], 1e-5, 1e-5)
    total = sum(losses.values()) + sum(own)
    assert_close(total, case['loss_total'], 1e-5, 1e-5)
    total.backward()
    for k, peer in enumerate(peers):
        assert_close(peer['logits'].grad, case[f'grad_logit_{k}'], 1e-4, 1e-6)
        assert_close(peer['feats'].grad, case[f'grad_feature_{k}'], 1e-4, 1e-6)
    head = exchange.fusion
    assert_close(head.fc.weight.grad, case['grad_fc'], 1e-4, 1e-6)
    point = head.pointwise.weight.grad
    assert_close(point, case['grad_pointwise'], 1e-4, 1e-6)


def test_golden_kl(golden, assert_close):
    case = golden('ffl', 'kl')
    loss = FeatureFusionExchange(ON).transfer_loss
    student = torch.from_numpy(case['student_logit']).requires_grad_()
    target = torch.from_numpy(case['target_logit']).requires_grad_()
    value = loss(student, target)
    value.backward()
    assert_close(value, case['loss'], 1e-5, 1e-5)
    assert_close(student.grad, case['grad_student'], 1e-4, 1e-6)
    assert target.grad is None


@pytest.mark.parametrize('count', [2, 3])
def test_equals_the_loop(count, cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of, count)
    exchange = build(set_up, peers, target_epsilon=0.0, loss_weight=0.5)
    batch = make_batch(torch.tensor([0, 5, 2, 1]), epoch=40)
    logits = [peer['logits'] for peer in peers]
    fused = exchange.fusion([peer['feats'] for peer in peers])
    forth, back = reference.fusion_terms(logits, fused, 3.0)
    weight = 0.5 * ramp(40, 80)
    assert ramp(40, 80) == pytest.approx(0.2865, abs=1e-4)
    expected = {
        'fused.loss_task': batch.hard_loss(fused),
        'fused.loss_kd': weight * forth,
        **{f'peer{k}.loss_kd': weight * kl for k, kl in enumerate(back)},
    }
    torch.testing.assert_close(exchange(peers, batch), expected)


def test_who_learns_from_what(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers, ramp_epochs=0)
    losses = exchange(peers, make_batch(torch.tensor([0, 1, 2, 3])))
    weight = exchange.fusion.pointwise.weight
    one, two = peers

    def grads(loss):
        leaves = [weight, one['logits'], one['feats'], two['feats']]
        found = torch.autograd.grad(
            loss, leaves, retain_graph=True, allow_unused=True
        )
        return [g is not None and g.abs().max() > 0 for g in found]

    assert grads(losses['peer0.loss_kd']) == [False, True, False, False]
    assert grads(losses['fused.loss_kd']) == [True, False, True, True]
    assert grads(losses['fused.loss_task']) == [True, False, True, True]


def test_equal_logits_have_nothing_to_learn(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers, ramp_epochs=0, target_epsilon=0.0)
    fused = exchange.auxiliary(peers, {})['fused'].detach()
    peers = [{**peer, 'logits': fused} for peer in peers]
    losses = exchange(peers, make_batch(torch.tensor([0, 1, 2, 3])))
    for name in ('fused.loss_kd', 'peer0.loss_kd', 'peer1.loss_kd'):
        assert losses[name].item() == pytest.approx(0, abs=1e-12)
    off = build(set_up, peers, loss_weight=0.0)
    losses = off(peers, make_batch(torch.tensor([0, 1, 2, 3]), epoch=99))
    assert losses['fused.loss_kd'] == losses['peer1.loss_kd'] == 0


def test_mistakes(cohort_of, make_batch, set_up):
    with pytest.raises(ValueError, match='must name the tensors feats, logit'):
        FeatureFusionExchange('head.fc')
    with pytest.raises(TypeError, match='exchange.fusion=4 is of the kind'):
        FeatureFusionExchange(ON, fusion=4)
    with pytest.raises(ValueError, match='at least 2 peers'):
        FeatureFusionExchange(ON).setup(CohortSpec(1))
    with pytest.raises(ValueError, match='give it in the exchange'):
        FeatureFusionExchange(ON).setup(CohortSpec(2))
    known = dict(in_channels=[4, 4], num_classes=6)
    FeatureFusionExchange(ON, fusion=known).setup(CohortSpec(2))
    peers = make_peers(cohort_of)
    peers[1]['feats'] = torch.zeros(4, 4, 4, 4)
    with pytest.raises(ValueError, match=r'sizes \(5x5, 4x4\)'):
        build(set_up, peers)
    pooled = [{**p, 'feats': p['feats'].mean((2, 3))} for p in peers]
    with pytest.raises(ValueError, match=r'"backbone" \(on.feats\) is \(4, 4'):
        build(set_up, pooled)
    several = [{**p, 'feats': [p['feats']] * 2} for p in peers]
    with pytest.raises(ValueError, match='is several maps, not one map'):
        build(set_up, several)
    peers = make_peers(cohort_of)
    dense = [{**p, 'logits': torch.zeros(4, 6, 9, 9)} for p in peers]
    exchange = build(set_up, dense)
    with pytest.raises(ValueError, match='tap features of the same height'):
        exchange(dense, make_batch())
