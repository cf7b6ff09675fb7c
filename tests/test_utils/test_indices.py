from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmkd.utils.indices import (
    FirstGpuBatches,
    check_index,
    check_labels,
    is_integer,
)


@pytest.mark.parametrize(
    ('dtype', 'expected'),
    [
        (torch.int64, True),
        (torch.uint8, True),
        (torch.bool, False),
        (torch.float16, False),
        (torch.complex64, False),
    ],
)
def test_is_integer(dtype, expected):
    assert is_integer(torch.zeros(2, dtype=dtype)) is expected


def test_labels():
    labels = torch.tensor([1, 0])
    check_labels('Loss', labels, 2)
    for wrong in (labels.float(), labels[:1], labels[None]):
        with pytest.raises(ValueError, match=r'Loss: labels must be \(2,\)'):
            check_labels('Loss', wrong, 2)


def test_index():
    check_index('Loss', 'index', torch.tensor([[0], [4]]), 5)
    check_index('Loss', 'index', torch.tensor([]), 5)
    for wrong in ([5], [-1, 0]):
        with pytest.raises(ValueError, match='num_samples=5'):
            check_index('Loss', 'index', torch.tensor(wrong), 5)


def test_only_the_first_batches_are_looked_at_on_a_gpu():
    may_look = FirstGpuBatches(2)
    on_gpu = SimpleNamespace(is_cuda=True)
    assert [may_look(on_gpu) for _ in range(3)] == [True, True, False]
    assert may_look(torch.zeros(1))
