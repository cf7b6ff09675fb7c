from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.heads import ContrastiveEmbedding
from mmkd.registry import MODELS


def test_layers_and_parameters():
    head = ContrastiveEmbedding(64)
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == {
        '0.weight': (128, 64),
        '0.bias': (128,),
        '2.weight': (128, 128),
        '2.bias': (128,),
    }
    assert sum(p.numel() for p in head.parameters()) == 24832


def test_formula():
    head = ContrastiveEmbedding(5, 4).double()
    feats = torch.randn(3, 5, dtype=torch.float64)
    hidden = (feats @ head[0].weight.T + head[0].bias).clamp(min=0)
    raw = hidden @ head[2].weight.T + head[2].bias
    expected = raw / raw.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(feats), expected)


def test_maps_are_averaged():
    head = ContrastiveEmbedding(5, 4)
    maps = torch.randn(3, 5, 2, 6)
    pooled = head(maps.mean((2, 3)))
    torch.testing.assert_close(head(maps), pooled)
    torch.testing.assert_close(head(maps.mean((2, 3), keepdim=True)), pooled)


def test_zero_vectors_are_finite():
    head = ContrastiveEmbedding(5, 4)
    torch.nn.init.zeros_(head[2].weight)
    torch.nn.init.zeros_(head[2].bias)
    feats = torch.randn(3, 5, requires_grad=True)
    embeds = head(feats)
    embeds.sum().backward()
    assert embeds.abs().max() == 0 and feats.grad.isfinite().all()


def test_half_precision_is_normalised_in_float32():
    head = ContrastiveEmbedding(5, 4)
    feats = 1e-3 * torch.randn(3, 5)
    with torch.autocast('cpu', torch.bfloat16):
        embeds = head(feats)
    assert embeds.dtype == torch.float32
    torch.testing.assert_close(embeds.norm(dim=1), torch.ones(3))
    cosine = functional.cosine_similarity(embeds, head(feats))
    assert cosine.min() > 0.999


def test_mistakes():
    head = MODELS.build(
        dict(type='mmkd.ContrastiveEmbedding', in_channels=5, feat_dim=4)
    )
    with pytest.raises(ValueError, match='in_channels=5.*in_channels=6'):
        head(torch.zeros(2, 6))
    with pytest.raises(ValueError, match=r'got \(2, 5, 7\)'):
        head(torch.zeros(2, 5, 7))


def test_necks_of_moco():
    first = ContrastiveEmbedding(5, 4, num_layers=1).double()
    assert [type(layer).__name__ for layer in first] == ['Linear']
    feats = torch.randn(3, 5, dtype=torch.float64)
    raw = feats @ first[0].weight.T + first[0].bias
    expected = functional.normalize(raw, dim=1)
    torch.testing.assert_close(first(feats), expected)
    second = ContrastiveEmbedding(5, 4, hidden_channels=5)
    shapes = [tuple(p.shape) for p in second.parameters()]
    assert shapes == [(5, 5), (5,), (4, 5), (4,)]


@pytest.mark.parametrize('key', ['num_layers', 'hidden_channels'])
def test_wrong_widths(key):
    with pytest.raises(ValueError, match=f'{key}=0 must be positive'):
        ContrastiveEmbedding(5, 4, **{key: 0})
