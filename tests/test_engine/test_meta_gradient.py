from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from mmkd.engine.meta_gradient import Virtual, meta_gradient
from mmkd.models.heads import ContrastiveEmbedding, LayerMatchingNetwork
from mmkd.models.losses import LayerwiseMutualContrastiveLoss
from tests.references.lmcl import unrolled_meta_gradient


class TinyCohort(nn.Module):
    """Two networks of two stages without batch norm, heads included."""

    def __init__(self, case, dtype):
        super().__init__()
        self.stages = nn.ModuleDict()
        self.classifiers = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        for i in range(2):
            for j in range(2):
                width, given = case[f'net_{i}_f_{j}_weight'].shape
                self.stages[f'{i}_{j}'] = nn.Linear(given, width)
                self.classifiers[f'{i}_{j}'] = nn.Linear(width, 4)
                self.heads[f'{i}_{j}'] = ContrastiveEmbedding(width, 5)
        self.to(dtype)
        for name, parameter in self.named_parameters():
            parameter.data.copy_(torch.from_numpy(case[golden_name(name)]))

    def forward(self, x):
        feats = {k: stage(x).relu() for k, stage in self.stages.items()}
        logits = [self.classifiers[k](f) for k, f in feats.items()]
        embeds = [self.heads[k](f) for k, f in feats.items()]
        nested = list(feats.values())
        return [nested[:2], nested[2:]], logits, [embeds[:2], embeds[2:]]


def golden_name(name):
    """Our name of a parameter to that of the golden file."""
    kind, key, *rest = name.split('.')
    i, j = key.split('_')
    if kind == 'heads':
        return f'heads_{i}_{j}_mlp{rest[0]}_{rest[1]}'
    letter = dict(stages='f', classifiers='c')[kind]
    return f'net_{i}_{letter}_{j}_{rest[0]}'


class Problem:
    """The golden problem: losses, theta and phi."""

    def __init__(self, case, dtype):
        self.cohort = TinyCohort(case, dtype)
        self.matching = LayerMatchingNetwork([[6, 6], [8, 8]]).to(dtype)
        for i in range(2):
            for j in range(2):
                linear = self.matching.projections[i][j]
                for key in ('weight', 'bias'):
                    value = case[f'meta_proj_{i}_{j}_{key}']
                    getattr(linear, key).data.copy_(torch.from_numpy(value))
        self.loss = LayerwiseMutualContrastiveLoss(
            float(case['temperature']),
            float(case['kd_temperature']),
            *map(float, case['loss_weights_vcl_softvcl_icl_softicl']),
        )
        self.inputs = torch.tensor(case['inputs'], dtype=dtype)
        self.labels = torch.from_numpy(case['labels'])
        self.phi = list(self.matching.parameters())
        self.theta = list(self.cohort.parameters())
        self.values = []

    def inner_of(self, theta, phi):
        names = [n for n, _ in self.cohort.named_parameters()]
        feats, _, embeds = functional_call(
            self.cohort, dict(zip(names, theta, strict=True)), (self.inputs,)
        )
        names = [n for n, _ in self.matching.named_parameters()]
        weights = functional_call(
            self.matching, dict(zip(names, phi, strict=True)), (feats,)
        )
        return sum(self.loss(embeds, self.labels, weights).values())

    def outer_of(self, theta):
        names = [n for n, _ in self.cohort.named_parameters()]
        _, logits, _ = functional_call(
            self.cohort, dict(zip(names, theta, strict=True)), (self.inputs,)
        )
        return sum(functional.cross_entropy(z, self.labels) for z in logits)

    def inner(self):
        feats, _, embeds = self.cohort(self.inputs)
        loss = sum(
            self.loss(embeds, self.labels, self.matching(feats)).values()
        )
        self.values.append(float(loss.detach()))
        return loss

    def outer(self):
        _, logits, _ = self.cohort(self.inputs)
        loss = sum(functional.cross_entropy(z, self.labels) for z in logits)
        self.values.append(float(loss.detach()))
        return loss

    def virtual(self, lr, momentum=0.9, weight_decay=5e-4):
        count = len(self.theta)
        return Virtual(
            self.theta, [lr] * count, [weight_decay] * count, momentum
        )

    def gradient(self, lr=0.1, steps=2, adjoint='exact', **settings):
        virtual = self.virtual(lr, **settings)
        return meta_gradient(
            self.inner, self.outer, virtual, self.phi, steps, adjoint
        )


@pytest.fixture
def case(golden):
    return golden('lmcl', 'meta_step_lr0p1')


@pytest.fixture
def problem(case):
    return Problem(case, torch.float64)


@pytest.mark.parametrize('adjoint', ['exact', 'published'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_golden(case, dtype, adjoint):
    problem = Problem(case, dtype)
    before = [p.detach().clone() for p in problem.theta]
    grads, value = problem.gradient(
        float(case['lr']),
        int(case['num_inner_steps']),
        adjoint,
        momentum=float(case['momentum']),
        weight_decay=float(case['weight_decay']),
    )
    exact = dtype == torch.float64
    tight = 1e-10 if exact else 2e-5
    seen = problem.values
    expected = case['inner_losses'].tolist()
    assert seen[:2] == pytest.approx(expected, rel=tight)
    assert seen[2] == pytest.approx(
        case['outer_loss_before_third_step'], rel=tight
    )
    assert value == pytest.approx(case['outer_loss_final'], rel=tight)
    names = [n for n, _ in problem.matching.named_parameters()]
    rtol = 1e-8 if exact else 1e-3
    for name, grad in zip(names, grads, strict=True):
        _, i, j, key = name.split('.')
        golden = torch.from_numpy(
            case[f'meta_grad_{adjoint}_proj_{i}_{j}_{key}']
        ).to(dtype)
        atol = rtol * float(golden.abs().max())
        torch.testing.assert_close(grad, golden, rtol=0, atol=atol)
    for p, start in zip(problem.theta, before, strict=True):
        assert torch.equal(p, start) and p.grad is None


def test_golden_virtual_end_and_step_of_phi(case, problem):
    virtual = problem.virtual(0.1)
    final = {}
    names = [n for n, _ in problem.cohort.named_parameters()]
    inner_outer = problem.outer

    def outer():
        for name, p in zip(names, problem.theta, strict=True):
            final.setdefault(name, []).append(p.detach().clone())
        return inner_outer()

    grads, _ = meta_gradient(
        problem.inner, outer, virtual, problem.phi, 2, 'published'
    )
    for name, (_, end, *_) in final.items():
        golden = case[f'virtual_final_{golden_name(name)}']
        torch.testing.assert_close(end, torch.from_numpy(golden))
    optimizer = torch.optim.SGD(
        problem.phi, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    for p, g in zip(problem.phi, grads, strict=True):
        p.grad = g
    optimizer.step()
    for name, p in problem.matching.named_parameters():
        _, i, j, key = name.split('.')
        golden = case[f'meta_param_after_published_step_proj_{i}_{j}_{key}']
        torch.testing.assert_close(p.detach(), torch.from_numpy(golden))


@pytest.mark.parametrize('steps', [1, 3])
@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_equals_unrolled_differentiation(problem, steps, momentum):
    grads, _ = problem.gradient(0.05, steps, momentum=momentum)
    unrolled = unrolled_meta_gradient(
        problem.inner_of,
        problem.outer_of,
        problem.theta,
        problem.phi,
        0.05,
        momentum,
        5e-4,
        steps,
    )
    for ours, theirs in zip(grads, unrolled, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)
    published, _ = problem.gradient(
        0.05, steps, 'published', momentum=momentum
    )
    equal = all(
        torch.allclose(a, b, rtol=1e-9, atol=1e-14)
        for a, b in zip(grads, published, strict=True)
    )
    assert equal == (steps == 1 or momentum == 0)


@pytest.mark.parametrize(('steps', 'soft'), [(1, 1.0), (2, 0.0)])
def test_equals_finite_differences(problem, steps, soft):
    # With several inner steps the detached targets of the soft terms move,
    # too, which no differentiation of the steps sees.
    problem.loss.soft_vcl_weight = problem.loss.soft_icl_weight = soft
    grads, _ = problem.gradient(0.1, steps)
    directions = [torch.randn_like(p) for p in problem.phi]
    slope = sum((g * d).sum() for g, d in zip(grads, directions, strict=True))
    start = [p.detach().clone() for p in problem.phi]
    step = 1e-4
    ends = []
    for sign in (1, -1):
        for p, s, d in zip(problem.phi, start, directions, strict=True):
            p.data.copy_(s + sign * step * d)
        ends.append(problem.gradient(0.1, steps)[1])
    difference = (ends[0] - ends[1]) / (2 * step)
    assert slope.item() == pytest.approx(difference, rel=1e-6)


def test_without_movement_there_is_no_gradient(problem):
    grads, _ = problem.gradient(0.0)
    assert all((g == 0).all() for g in grads)


def test_rates_of_single_parameters_and_unused_ones(problem):
    unused = torch.ones(3, dtype=torch.float64, requires_grad=True)
    theta = [*problem.theta, unused]
    rates = [0.1] * len(problem.theta) + [0.2]
    virtual = Virtual(theta, rates, [5e-4] * len(theta))
    grads, _ = meta_gradient(
        problem.inner, problem.outer, virtual, problem.phi
    )
    plain, _ = problem.gradient(0.1)
    for ours, theirs in zip(grads, plain, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.equal(unused, torch.ones(3, dtype=torch.float64))


def test_parameters_are_put_back_after_an_error(problem):
    before = [p.detach().clone() for p in problem.theta]
    calls = []

    def outer():
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError('interrupted')
        return problem.outer()

    with pytest.raises(RuntimeError, match='interrupted'):
        meta_gradient(problem.inner, outer, problem.virtual(0.1), problem.phi)
    for p, start in zip(problem.theta, before, strict=True):
        assert torch.equal(p, start)
