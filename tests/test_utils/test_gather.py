"""With processes: test_mutual_contrastive_distributed.py."""

from __future__ import annotations

import torch

from mmkd.utils.gather import gather_rows_with_grad


def test_without_process_group():
    tensor = torch.randn(2, 3, requires_grad=True)
    assert gather_rows_with_grad(tensor) is tensor
