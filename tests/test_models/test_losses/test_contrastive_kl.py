from __future__ import annotations

import pytest
import torch

from mmkd.models.losses.contrastive_kl import inter_kl, intra_kl
from tests.references.mcl import soft_kl


def pairs_of(num_peers):
    return [
        (a, b) for a in range(num_peers) for b in range(num_peers) if a != b
    ]


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_intra(temperature):
    logits = torch.randn(3, 4, 7, dtype=torch.float64, requires_grad=True)
    expected = sum(
        soft_kl(logits[b], logits[a], temperature) for a, b in pairs_of(3)
    )
    value = intra_kl(logits, temperature)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(2 * value, logits),
        torch.autograd.grad(2 * expected, logits),
    )


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_inter(temperature):
    logits = torch.randn(3, 4, 3, 7, dtype=torch.float64, requires_grad=True)
    expected = sum(
        soft_kl(logits[b, :, a], logits[a, :, b], temperature)
        for a, b in pairs_of(3)
    )
    value = inter_kl(logits, temperature)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(2 * value, logits),
        torch.autograd.grad(2 * expected, logits),
    )


@pytest.mark.parametrize(
    ('function', 'shape'), [(intra_kl, (3, 4, 7)), (inter_kl, (3, 4, 3, 7))]
)
def test_only_probabilities_are_kept(function, shape):
    logits = torch.randn(shape, requires_grad=True)
    kept = []

    def pack(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        function(logits, 3.0)
    assert kept == [shape]
