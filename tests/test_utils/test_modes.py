"""Modes come back, also after an error."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.utils.modes import evaluating


def test_modes_and_gradient_come_back():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    model[1].eval()  # frozen
    with pytest.raises(RuntimeError, match='inside'), evaluating(model):
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
        raise RuntimeError('inside')
    assert [part.training for part in model.modules()] == [True, True, False]
    assert torch.is_grad_enabled()
