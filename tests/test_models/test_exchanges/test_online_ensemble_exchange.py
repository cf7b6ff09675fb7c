"""OEM: golden numbers, loops, properties."""

from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges import CohortSpec, OnlineEnsembleExchange
from mmkd.models.losses import KLDivLoss
from tests.references import okd_baselines as reference
from tests.references.oem import feature_loss

ON = dict(maps='stages', logits='head.fc')
WIDTHS = ((6, 9), (4, 6), (2, 3))


def make_peers(cohort_of, count=3):
    maps = [
        [
            torch.randn(4, c, 4 // k, 2, dtype=torch.float64).requires_grad_()
            for k, c in enumerate(widths, 1)
        ]
        for widths in WIDTHS[:count]
    ]
    logits = [
        torch.randn(4, 7, dtype=torch.float64).requires_grad_() for _ in maps
    ]
    return cohort_of(maps=maps, logits=logits)


def build(set_up, peers, **settings):
    return set_up(OnlineEnsembleExchange(ON, **settings), peers).double()


def test_golden_divergence(golden, assert_close):
    case = golden('oem', 'kl')
    logits = torch.from_numpy(case['student_logit']).requires_grad_()
    target = torch.from_numpy(case['teacher_logit']).requires_grad_()
    value = KLDivLoss(float(case['temperature']))(logits, target)
    value.backward()
    assert_close(value, case['loss'], 1e-5, 1e-5)
    assert_close(logits.grad, case['grad_student'], 1e-4, 1e-6)
    assert target.grad is None


@pytest.mark.parametrize('adaptation', [True, False])
def test_equals_the_loop(cohort_of, make_batch, set_up, adaptation):
    peers = make_peers(cohort_of)
    exchange = build(set_up, peers, adaptation=adaptation, kd_weight=0.3)
    mean = sum(peer['logits'] for peer in peers).detach() / 3
    expected = {}
    for j, peer in enumerate(peers):
        kd = reference.kd(peer['logits'], mean, 2.0)
        expected[f'peer{j}.loss_kd'] = 0.3 * kd
        if j:
            convs = exchange.feature_losses[j - 1].adapters
            expected[f'peer{j}.loss_feature'] = 0.15 * feature_loss(
                peer['maps'],
                peers[0]['maps'],
                [conv.weight for conv in convs] or None,
                [conv.bias for conv in convs] or None,
            )
    torch.testing.assert_close(exchange(peers, make_batch()), expected)


def test_who_reaches_whom(cohort_of, make_batch, set_up):
    """No feature loss for the widest; the mean of all carries no gradient."""
    peers = make_peers(cohort_of)
    losses = build(set_up, peers)(peers, make_batch())
    sum(value for key, value in losses.items() if 'feature' in key).backward()
    assert all(m.grad is None for m in peers[0]['maps'])
    assert all(m.grad.abs().max() > 0 for p in peers[1:] for m in p['maps'])
    losses['peer1.loss_kd'].backward()
    assert [p['logits'].grad is None for p in peers] == [True, False, True]


def test_equal_logits_teach_nothing(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    for peer in peers:
        peer['logits'] = peers[0]['logits']
    losses = build(set_up, peers)(peers, make_batch())
    assert all(losses[f'peer{j}.loss_kd'].item() < 1e-12 for j in range(3))


def test_divergence_without_t2(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    one = build(set_up, peers, temperature=3.0)(peers, make_batch())
    two = build(set_up, peers, temperature=3.0, scale_t2=False)(
        peers, make_batch()
    )
    torch.testing.assert_close(one['peer2.loss_kd'], 9 * two['peer2.loss_kd'])


def test_a_copied_student_adds_its_terms_again(cohort_of, make_batch, set_up):
    peers = make_peers(cohort_of)
    exchange = build(set_up, [*peers, peers[2]])
    last, copied = exchange.feature_losses[1:]
    copied.load_state_dict(last.state_dict())
    losses = exchange([*peers, peers[2]], make_batch())
    torch.testing.assert_close(
        losses['peer3.loss_feature'], losses['peer2.loss_feature']
    )


def test_mistakes(cohort_of, set_up):
    with pytest.raises(ValueError, match='must name the tensors maps, logits'):
        OnlineEnsembleExchange(dict(logits='head.fc'))
    with pytest.raises(ValueError, match='at least 2 peers'):
        OnlineEnsembleExchange(ON).setup(CohortSpec(1))
    with pytest.raises(ValueError, match='"maps" are not known before train'):
        OnlineEnsembleExchange(ON).setup(CohortSpec(3))
    peers = make_peers(cohort_of)
    peers[1]['maps'] = peers[1]['maps'][:1]
    with pytest.raises(ValueError, match='tap as many stages'):
        set_up(OnlineEnsembleExchange(ON), peers)
    peers[1]['maps'] = [torch.zeros(4, 3)]
    with pytest.raises(ValueError, match=r'taps on maps \(N, C, H, W\)'):
        set_up(OnlineEnsembleExchange(ON), peers)
