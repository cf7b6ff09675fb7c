"""Cross entropy of joint labels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import JointLabelLoss


def test_branches_are_summed() -> None:
    branches = [torch.randn(8, 20, dtype=torch.float64) for _ in range(3)]
    labels = torch.arange(8)
    wanted = sum(functional.cross_entropy(b, labels) for b in branches)
    loss = JointLabelLoss(loss_weight=0.5)(branches, labels)
    torch.testing.assert_close(loss, 0.5 * wanted)
    alone = JointLabelLoss()(branches[0], labels)
    assert alone.dtype == torch.float64
    torch.testing.assert_close(
        alone, functional.cross_entropy(branches[0], labels)
    )


def test_half_precision_is_computed_in_float32() -> None:
    logits = torch.randn(8, 20).bfloat16()
    loss = JointLabelLoss()(logits, torch.arange(8))
    assert loss.dtype == torch.float32


def test_one_label_per_row() -> None:
    words = r'branches of \[\(8, 20\)\], but 2 joint labels; let the branches'
    with pytest.raises(ValueError, match=words):
        JointLabelLoss()(torch.randn(8, 20), torch.arange(2))
