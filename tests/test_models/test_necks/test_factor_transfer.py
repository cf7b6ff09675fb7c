from __future__ import annotations

import torch
from torch import nn

from mmkd.models.necks import Paraphraser, Translator


def test_paraphraser():
    paraphraser = Paraphraser(8)
    maps = torch.randn(2, 8, 5, 6)
    assert paraphraser(maps).shape == (2, 4, 5, 6)
    assert paraphraser.reconstruct(maps).shape == maps.shape
    shapes = [p.shape for p in paraphraser.parameters() if p.dim() > 1]
    widths = [(8, 8), (4, 8), (4, 4), (4, 4), (4, 8), (8, 8)]
    assert shapes == [(*pair, 3, 3) for pair in widths]
    kinds = [type(m) for m in paraphraser.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(nn.LeakyReLU) == 6


def test_translator():
    translator = Translator(6, 4)
    assert translator(torch.randn(2, 6, 5, 6)).shape == (2, 4, 5, 6)
    norms = [m for m in translator if isinstance(m, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [6, 4, 4]
    slopes = [
        m.negative_slope for m in translator if hasattr(m, 'negative_slope')
    ]
    assert slopes == [0.1] * 3
