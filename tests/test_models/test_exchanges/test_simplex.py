from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges.simplex import simplex_weights
from tests.references import okd_baselines as reference


def draw(num_peers, scale, rows=60, classes=9):
    margins = scale * torch.randn(
        rows, num_peers, classes, dtype=torch.float64
    )
    return margins - margins[..., :1]


def mixed_entropy(margins, weights):
    return (weights[:, :, None] * margins).sum(1).logsumexp(1)


@pytest.mark.parametrize('num_peers', [2, 3, 5])
@pytest.mark.parametrize('scale', [0.01, 1.0, 20.0])
def test_optimal(num_peers, scale):
    margins = draw(num_peers, scale)
    weights = simplex_weights(margins)
    assert weights.min() >= 0
    torch.testing.assert_close(
        weights.sum(1), torch.ones(60, dtype=torch.float64)
    )
    # convexity: no point is better by more than <a, g> - min g
    free = weights.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mixed_entropy(margins, free).sum(), free)
    gap = (weights * slope).sum(1) - slope.amin(1)
    assert gap.max() < 1e-4 * max(scale, 0.01)


@pytest.mark.parametrize('num_peers', [1, 2, 3])
def test_not_worse_than_a_grid(num_peers):
    margins = draw(num_peers, 3.0, rows=20)
    found = mixed_entropy(margins, simplex_weights(margins))
    for value, rows in zip(found, margins, strict=True):
        assert value <= reference.best_on_grid(rows, 0) + 1e-6


def test_never_worse_than_a_vertex_and_always_finite():
    margins = draw(4, 1000.0)
    margins[:, 1] = margins[:, 0]
    margins[0] = 0
    weights = simplex_weights(margins)
    assert weights.isfinite().all()
    found = mixed_entropy(margins, weights)
    assert (found <= margins.logsumexp(2).amin(1) + 1e-8).all()


def test_equal_peers_share_equally():
    margins = draw(1, 2.0).expand(-1, 3, -1)
    torch.testing.assert_close(
        simplex_weights(margins),
        torch.full((60, 3), 1 / 3, dtype=torch.float64),
        rtol=0,
        atol=1e-4,
    )
