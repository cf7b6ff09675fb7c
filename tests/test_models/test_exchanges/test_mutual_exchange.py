from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges import CohortSpec, MutualExchange
from mmkd.registry import MODELS
from tests.references import okd_baselines as reference


def random_logits(count, shape=(4, 6), **kwargs):
    kwargs = dict(dtype=torch.float64, requires_grad=True) | kwargs
    return [torch.randn(shape, **kwargs) for _ in range(count)]


def test_golden(golden, assert_close, cohort_of, make_batch):
    case = golden('okd_baselines', 'dml_pairwise_nograd_stop')
    stacked = torch.from_numpy(case['peer_logit']).requires_grad_()
    labels = torch.from_numpy(case['target'])
    batch = make_batch(labels)
    peers = cohort_of(logits=stacked.unbind(2))
    exchange = MutualExchange(
        temperature=float(case['temperature']), detach_target=False
    )
    losses = exchange(peers, batch)
    hard = sum(batch.hard_loss(peer['logits']) for peer in peers)
    total = hard + sum(losses.values())
    total.backward()
    assert_close(total, case['loss_total'])
    assert_close(stacked.grad, case['grad_peer_logit'], 1e-4, 1e-6)


@pytest.mark.parametrize('count', [2, 4])
def test_equals_the_loop(cohort_of, make_batch, count):
    logits = random_logits(count)
    losses = MutualExchange(temperature=2.0)(
        cohort_of(logits=logits), make_batch()
    )
    assert list(losses) == [f'peer{i}.loss_kd' for i in range(count)]
    expected = reference.mutual(logits, 2.0)
    torch.testing.assert_close(list(losses.values()), expected)
    ours = torch.autograd.grad(sum(losses.values()), logits)
    loop = torch.autograd.grad(sum(expected), logits)
    torch.testing.assert_close(ours, loop)


def test_targets_and_reductions(cohort_of, make_batch):
    two, three = random_logits(2), random_logits(3)

    def value(logits, **settings):
        losses = MutualExchange(**settings)(
            cohort_of(logits=logits), make_batch()
        )
        return torch.stack(list(losses.values()))

    ensemble = dict(target='leave_one_out_mean')
    assert torch.equal(value(two), value(two, **ensemble))
    assert not torch.allclose(value(three), value(three, **ensemble))
    torch.testing.assert_close(value(three, reduction='sum'), 2 * value(three))
    expected = [
        reference.kd(z, reference.mean_of_others(three, i), 1.0)
        for i, z in enumerate(three)
    ]
    torch.testing.assert_close(value(three, **ensemble), torch.stack(expected))


@pytest.mark.parametrize('target', ['pairwise', 'leave_one_out_mean'])
@pytest.mark.parametrize('detach', [True, False])
def test_a_peer_teaches_by_gradient_only_if_not_detached(
    cohort_of, make_batch, target, detach
):
    logits = random_logits(3)
    losses = MutualExchange(target=target, detach_target=detach)(
        cohort_of(logits=logits), make_batch()
    )
    losses['peer0.loss_kd'].backward()
    assert logits[0].grad.abs().max() > 1e-4
    for other in logits[1:]:
        if detach:
            assert other.grad is None
        else:
            assert other.grad.abs().max() > 1e-4


def test_peers_that_agree_have_nothing_to_learn(cohort_of, make_batch):
    same = torch.randn(4, 6, dtype=torch.float64)
    logits = [same.clone().requires_grad_() for _ in range(3)]
    losses = MutualExchange(temperature=3.0)(
        cohort_of(logits=logits), make_batch()
    )
    sum(losses.values()).backward()
    for z in logits:
        assert z.grad.abs().max() < 1e-12
    assert all(abs(loss.item()) < 1e-12 for loss in losses.values())


@pytest.mark.parametrize('target', ['pairwise', 'leave_one_out_mean'])
def test_maps_and_lists_of_maps(cohort_of, make_batch, target):
    maps = random_logits(3, (2, 5, 3, 4))
    exchange = MutualExchange(target=target, temperature=2.0)
    dense = exchange(cohort_of(logits=maps), make_batch())
    pixels = [z.movedim(1, -1).flatten(0, 2) for z in maps]
    flat = exchange(cohort_of(logits=pixels), make_batch())
    torch.testing.assert_close(dense, flat)

    levels = random_logits(3, (2, 5, 2, 2))
    both = exchange(
        cohort_of(logits=[list(p) for p in zip(maps, levels, strict=True)]),
        make_batch(),
    )
    single = exchange(cohort_of(logits=levels), make_batch())
    for name in both:
        torch.testing.assert_close(both[name], dense[name] + single[name])


def test_another_transfer_loss(cohort_of, make_batch):
    logits = random_logits(2)
    exchange = MutualExchange(
        transfer_loss=dict(type='mmkd.KLDivLoss', temperature=5.0)
    )
    losses = exchange(cohort_of(logits=logits), make_batch())
    torch.testing.assert_close(
        list(losses.values()), reference.mutual(logits, 5.0)
    )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(target='ring'), "target='ring'"),
        (dict(reduction='max'), "reduction='max'"),
        (
            dict(target='leave_one_out_mean', reduction='sum'),
            "reduction='sum' is about pairwise terms",
        ),
        (dict(temperature=0.0), 'temperature=0.0 must be positive'),
        (dict(ramp_epochs=-1), 'ramp_epochs=-1 must not be negative'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        MutualExchange(**settings)


def test_wrong_cohorts(cohort_of, make_batch, set_up):
    with pytest.raises(ValueError, match='at least 2 peers, the cohort has 1'):
        MutualExchange().setup(CohortSpec(1))
    peers = cohort_of(logits=[torch.zeros(2, 100), torch.zeros(2, 10)])
    message = 'must predict the same classes; got 10 and 100'
    with pytest.raises(ValueError, match=message):
        set_up(MutualExchange(), peers)
    with pytest.raises(ValueError, match=message):
        MutualExchange()(peers, make_batch())
    peers = cohort_of(
        logits=[torch.zeros(2, 5, 4, 4), torch.zeros(2, 5, 2, 2)]
    )
    with pytest.raises(ValueError, match='shapes of "logits" differ'):
        set_up(MutualExchange(), peers)


def test_registered(cohort_of, make_batch, set_up):
    exchange = MODELS.build(dict(type='mmkd.MutualExchange', on='scores'))
    assert exchange.on == {'logits': 'scores'}
    peers = cohort_of(logits=random_logits(2))
    assert set_up(exchange, peers) is exchange
