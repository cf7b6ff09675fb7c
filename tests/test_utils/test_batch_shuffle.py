from __future__ import annotations

import pytest
import torch

from mmkd.utils.batch_shuffle import BatchShuffle

CPU = torch.device('cpu')


def test_undo_gives_the_first_order_back():
    rows = torch.arange(12).view(6, 2)
    torch.manual_seed(0)
    shuffle = BatchShuffle(6, CPU)
    torch.manual_seed(0)
    order = torch.randperm(6)
    shuffled = shuffle(rows)
    assert torch.equal(shuffled, rows[order])
    assert not torch.equal(shuffled, rows)
    assert torch.equal(shuffle.undo(shuffled), rows)
    found = shuffle.undo(dict(a=[shuffled, shuffled + 1]))
    assert torch.equal(found['a'][1], rows + 1)


@pytest.mark.parametrize('shape', [(5, 2), ()])
def test_what_has_not_a_row_for_each_sample(shape):
    with pytest.raises(ValueError, match='shuffle=True.*of the 6 samples'):
        BatchShuffle(6, CPU).undo(torch.zeros(shape))
