from __future__ import annotations

import torch

from mmkd.models.memory import enqueue_keys


def test_wraps_at_the_end_and_moves_the_pointers():
    queues, pointers = torch.zeros(2, 3, 5), torch.tensor([0, 4])
    keys = torch.randn(2, 3, 3)  # peers, batch, width
    enqueue_keys(queues, pointers, keys)
    assert pointers.tolist() == [3, 2]
    for peer, columns in enumerate(([0, 1, 2], [4, 0, 1])):
        assert torch.equal(queues[peer][:, columns], keys[peer].T)
    assert queues.count_nonzero() == keys.count_nonzero()
    enqueue_keys(queues, pointers, keys + 1)
    assert pointers.tolist() == [1, 0]
    assert torch.equal(queues[0][:, [3, 4, 0]], keys[0].T + 1)
    assert torch.equal(queues[0][:, [1, 2]], keys[0].T[:, 1:])
