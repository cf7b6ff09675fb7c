from __future__ import annotations

import torch
from torch.nn import functional

from mmkd.models.memory import random_banks, update_banks


def test_known_update():
    banks = torch.zeros(1, 3, 2)
    banks[0, 1] = torch.tensor([1.0, 0.0])
    update_banks(banks, torch.tensor([1]), torch.tensor([[[0.0, 1.0]]]), 0.25)
    expected = torch.tensor([[0.0, 0.0], [0.1**0.5, 0.9**0.5], [0.0, 0.0]])
    torch.testing.assert_close(banks[0], expected)


def test_last_of_many_equal_indices_wins():
    banks = random_banks(2, 9, 4)
    before = banks.clone()
    index = torch.randint(3, (200,))
    values = torch.randn(2, 200, 4)
    update_banks(banks, index, values, 0.5)
    for row in range(3):
        last = int((index == row).nonzero()[-1])
        mixed = (before[:, row] + values[:, last]) / 2
        torch.testing.assert_close(
            banks[:, row], functional.normalize(mixed, dim=1)
        )
    assert torch.equal(banks[:, 3:], before[:, 3:])


def test_banks_keep_their_precision():
    banks = random_banks(1, 4, 2).half()
    update_banks(banks, torch.tensor([2]), torch.ones(1, 1, 2), 0.0)
    assert banks.dtype == torch.float16
    torch.testing.assert_close(
        banks[0, 2], torch.full((2,), 0.5**0.5, dtype=torch.float16)
    )
