from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges import CohortSpec, KnowledgeCollaborationExchange
from mmkd.models.exchanges.best_targets import (
    ensemble_weights,
    error_products,
    linear_target,
    min_logit_target,
    naive_target,
)
from tests.references import okd_baselines as reference

RULES = ['naive', 'linear', 'minlogit']


def draw(count=3, shape=(6, 8), classes=8):
    logits = [
        2 * torch.randn(shape, dtype=torch.float64) for _ in range(count)
    ]
    labels = torch.randint(0, classes, (shape[0], *shape[2:]))
    return logits, labels


def target_of(cohort_of, make_batch, logits, labels, target):
    exchange = KnowledgeCollaborationExchange(target=target)
    transfers = exchange.transfers(
        cohort_of(logits=logits), {}, make_batch(labels)
    )
    assert [t.learner for t in transfers] == list(range(len(logits)))
    return transfers[0].target


def entropy(logits, labels):
    return torch.nn.functional.cross_entropy(logits, labels, reduction='none')


@pytest.mark.parametrize('target', [*RULES, 'mean'])
def test_golden(golden, assert_close, cohort_of, make_batch, target):
    case = golden('okd_baselines', 'formula_kdcl')
    logits = [
        torch.from_numpy(case[f'logit_{k}']).requires_grad_() for k in range(3)
    ]
    batch = make_batch(torch.from_numpy(case['target']))
    exchange = KnowledgeCollaborationExchange(
        target=target, temperature=float(case['temperature'])
    )
    peers = cohort_of(logits=logits)
    found = exchange.transfers(peers, {}, batch)[0].target
    # the optimum of 'linear' may be flat or at a vertex
    linear = target == 'linear'
    assert_close(
        found, case[f'target_{target}'], 1e-9, 1e-3 if linear else 1e-12
    )
    losses = exchange(peers, batch)
    rtol = 1e-4 if linear else 1e-9
    for k, z in enumerate(logits):
        loss = batch.hard_loss(z) + losses[f'peer{k}.loss_kd']
        (gradient,) = torch.autograd.grad(loss, z)
        assert_close(loss, case[f'loss_{target}'][k], rtol, 0)
        assert_close(gradient, case[f'grad_{target}'][k], rtol, rtol)


def test_golden_general(golden, assert_close, cohort_of, make_batch):
    case = golden('okd_baselines', 'formula_kdcl')
    probabilities = torch.from_numpy(case['heldout_probability'])
    labels = torch.from_numpy(case['heldout_target'])
    covariance = error_products(probabilities, labels) / len(labels)
    assert_close(covariance, case['heldout_error_covariance'], 1e-9, 0)
    exchange = KnowledgeCollaborationExchange(target='general')
    exchange.setup(CohortSpec(3))
    exchange.set_covariance(covariance, step=7)
    assert_close(exchange.weights, case['general_weight'])
    assert int(exchange.weights_of) == 7
    logits = [torch.from_numpy(case[f'logit_{k}']) for k in range(3)]
    transfers = exchange.transfers(
        cohort_of(logits=logits), {}, make_batch(labels)
    )
    expected = sum(
        w * z for w, z in zip(case['general_weight'], logits, strict=True)
    )
    torch.testing.assert_close(
        transfers[2].target, expected, rtol=1e-5, atol=1e-5
    )


def test_rules_equal_the_loops():
    logits, labels = draw()
    stacked = torch.stack(logits)
    torch.testing.assert_close(
        naive_target(stacked, labels), reference.naive(logits, labels)
    )
    torch.testing.assert_close(
        min_logit_target(stacked, labels), reference.min_logit(logits, labels)
    )
    linear = entropy(linear_target(stacked, labels), labels)
    for n, y in enumerate(labels):
        best = reference.best_on_grid([z[n] for z in logits], int(y))
        assert linear[n] <= best + 1e-6
    probabilities = stacked.softmax(2)
    torch.testing.assert_close(
        error_products(probabilities, labels) / len(labels),
        reference.error_covariance(probabilities, labels),
    )


@pytest.mark.parametrize('target', RULES)
def test_no_worse_than_any_peer(cohort_of, make_batch, target):
    logits, labels = draw(count=4, shape=(40, 8))
    found = target_of(cohort_of, make_batch, logits, labels, target)
    best = torch.stack([entropy(z, labels) for z in logits]).amin(0)
    assert (entropy(found, labels) <= best + 1e-8).all()


def test_of_equal_peers_the_first_is_taken():
    logits, labels = draw(count=2)
    tie = torch.stack([logits[0], logits[0].roll(1, 0)])
    tie[1] = tie[0].clone()
    tie[1, :, [3, 4]] = tie[0, :, [4, 3]]  # the same entropy, other logits
    labels[:] = 0
    assert torch.equal(naive_target(tie, labels), tie[0])


def test_ensemble_weights():
    equal = torch.full((3, 3), 0.2) + 0.5 * torch.eye(3)
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    torch.testing.assert_close(ensemble_weights(equal), third)
    torch.testing.assert_close(ensemble_weights(torch.ones(3, 3)), third)
    better = ensemble_weights(torch.tensor([[1.0, 1.2], [1.2, 2.0]]))
    torch.testing.assert_close(better.sum().item(), 1.0)
    assert better[0] > 1 and better[1] < 0


@pytest.mark.parametrize('target', [*RULES, 'mean'])
def test_equal_logits_give_nothing_to_learn(cohort_of, make_batch, target):
    z, labels = torch.randn(4, 6, dtype=torch.float64), torch.arange(4)
    logits = [z.clone().requires_grad_() for _ in range(3)]
    exchange = KnowledgeCollaborationExchange(target=target)
    losses = exchange(cohort_of(logits=logits), make_batch(labels))
    sum(losses.values()).backward()
    assert max(z.grad.abs().max() for z in logits) < 1e-7


@pytest.mark.parametrize('target', RULES)
def test_maps(cohort_of, make_batch, target):
    logits, labels = draw(shape=(2, 5, 3, 4), classes=5)
    labels[0, 0] = 255
    found = target_of(cohort_of, make_batch, logits, labels, target)
    assert found.shape == (2, 5, 3, 4)
    torch.testing.assert_close(
        found[0, :, 0], torch.stack(logits).mean(0)[0, :, 0]
    )
    here = [z[:, :, 2, 1] for z in logits]
    torch.testing.assert_close(
        found[:, :, 2, 1],
        target_of(cohort_of, make_batch, here, labels[:, 2, 1], target),
    )
    larger = labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(
        target_of(cohort_of, make_batch, logits, larger, target), found
    )


def test_lists_of_maps_have_a_mean_but_no_labels(cohort_of, make_batch):
    logits, labels = draw(shape=(2, 5, 3, 4))
    lists = [[z, z[..., :2]] for z in logits]
    mean = target_of(cohort_of, make_batch, lists, None, 'mean')
    torch.testing.assert_close(mean[0], torch.stack(logits).mean(0))
    assert mean[1].shape == (2, 5, 3, 2)
    for target in RULES:
        with pytest.raises(ValueError, match="list of maps.*target='mean'"):
            target_of(cohort_of, make_batch, lists, labels, target)


@pytest.mark.parametrize('target', RULES)
def test_labels_that_do_not_fit(cohort_of, make_batch, target):
    logits, labels = draw()
    soft = torch.nn.functional.one_hot(labels, 8).double()
    with pytest.raises(ValueError, match='needs integer labels, got torch.f'):
        target_of(cohort_of, make_batch, logits, soft, target)
    with pytest.raises(ValueError, match=r'labels \(4,\) do not fit'):
        target_of(cohort_of, make_batch, logits, labels[:4], target)


def test_half_precision(cohort_of, make_batch):
    logits, labels = draw()
    half = [z.bfloat16() for z in logits]
    for target in RULES:
        found = target_of(cohort_of, make_batch, half, labels, target)
        exact = [z.float() for z in half]
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found, target_of(cohort_of, make_batch, exact, labels, target)
        )


def test_mistakes():
    with pytest.raises(ValueError, match="target='best'; choose one of naive"):
        KnowledgeCollaborationExchange(target='best')
    with pytest.raises(ValueError, match='at least 2 peers'):
        KnowledgeCollaborationExchange().setup(CohortSpec(1))


def test_general_without_its_hook_stops(cohort_of, make_batch):
    exchange = KnowledgeCollaborationExchange(target='general')
    exchange.setup(CohortSpec(2))
    logits, labels = draw(count=2)
    peers = cohort_of(logits=logits)
    exchange.eval()(peers, make_batch(labels))  # as the dry run does
    exchange.train()
    with pytest.raises(ValueError, match='needs dict.*HeldOutWeightsHook'):
        exchange(peers, make_batch(labels))
    exchange.set_covariance(torch.eye(2), step=0)
    losses = exchange(peers, make_batch(labels))
    resumed = KnowledgeCollaborationExchange(target='general')
    resumed.setup(CohortSpec(2))
    resumed.load_state_dict(exchange.state_dict())
    assert resumed(peers, make_batch(labels)) == losses
