from __future__ import annotations

import pytest
import torch

from mmkd.models.losses.gram import gram


def test_value_and_gradient():
    rows = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(gram(rows, 2.5), 2.5 * rows @ rows.T)
    assert torch.autograd.gradcheck(lambda x: gram(x, 2.5), rows)


def test_second_derivative_is_refused():
    rows = torch.randn(5, 3, requires_grad=True)
    value = gram(rows, 1.0).pow(2).sum()
    (grad,) = torch.autograd.grad(value, rows, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()
