from __future__ import annotations

import pytest
import torch

from mmkd.models.heads import EmbeddingProjection
from mmkd.registry import MODELS


def test_unit_rows_of_a_linear_layer():
    head = EmbeddingProjection(5, 3).double()
    feats = torch.randn(4, 5, dtype=torch.float64)
    raw = feats @ head.weight.T + head.bias
    expected = raw / raw.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(head(feats), expected)
    torch.testing.assert_close(head(feats[:, :, None, None]), expected)
    maps = torch.randn(4, 5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(head(maps), head(maps.mean((2, 3))))


def test_a_zero_stays_finite():
    head = EmbeddingProjection(5, 3)
    torch.nn.init.zeros_(head.bias)
    assert torch.equal(head(torch.zeros(2, 5)), torch.zeros(2, 3))


def test_half_precision_gives_float32():
    head = EmbeddingProjection(5, 3).bfloat16()
    assert head(torch.randn(2, 5).bfloat16()).dtype == torch.float32


def test_messages():
    head = MODELS.build(dict(type='mmkd.EmbeddingProjection', in_channels=5))
    assert head.out_features == 128
    with pytest.raises(ValueError, match='set in_channels=6'):
        head(torch.zeros(2, 6))
    with pytest.raises(ValueError, match='tap pooled features'):
        head(torch.zeros(5))
    with pytest.raises(ValueError, match='embedding_dim=0'):
        EmbeddingProjection(5, 0)
