from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.memory import (
    enqueue,
    random_queue,
    region_means,
    select_pixels,
)
from tests.references import cirkd

NAMES = ('pixel_queue', 'region_queue', 'pixel_ptr', 'region_ptr')


def update(state, keys, labels, draws, sampling='leading', per_class=16):
    """One update as the loss does it."""
    num_classes = len(state['pixel_ptr'])
    classes = labels.flatten(1).masked_fill(labels.flatten(1) < 0, num_classes)
    pixels = keys.flatten(2).transpose(1, 2)
    index, counts = select_pixels(
        classes, num_classes, per_class, sampling, draws
    )
    chosen = pixels[torch.arange(len(index))[:, None, None], index]
    regions = region_means(pixels, classes, num_classes)[:, :, None]
    enqueue(state['pixel_queue'], state['pixel_ptr'], chosen, counts)
    enqueue(
        state['region_queue'], state['region_ptr'], regions, counts.clamp(0, 1)
    )


def new_state(num_classes=4, pixels=50, regions=5, dim=8):
    return dict(
        pixel_queue=random_queue(num_classes, pixels, dim),
        region_queue=random_queue(num_classes, regions, dim),
        pixel_ptr=torch.zeros(num_classes, dtype=torch.long),
        region_ptr=torch.zeros(num_classes, dtype=torch.long),
    )


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cirkd', '08_memory_queue_update').items()
        if value.ndim
    }
    state = {name: case[f'init_{name}'].clone() for name in NAMES}
    for step in range(4):
        keys, labels, draws = (
            case[f'step{step}_{name}'] for name in ('keys', 'labels', 'draws')
        )
        update(state, keys, labels, draws)
        for name in NAMES:
            expected = case[f'step{step}_{name}']
            torch.testing.assert_close(
                state[name], expected, rtol=0, atol=1e-6
            )


@pytest.mark.parametrize('sampling', ['leading', 'class'])
def test_equals_loop(sampling):
    generator = torch.Generator().manual_seed(1)
    ours = new_state()
    loop = {name: value.clone() for name, value in ours.items()}
    for _ in range(6):
        keys = functional.normalize(torch.randn(3, 8, 5, 7), dim=1)
        labels = torch.randint(-1, 4, (3, 5, 7)).clamp(max=2)
        draws = cirkd.draw_positions(labels, -1, 16, generator)
        update(ours, keys, labels, draws, sampling)
        cirkd.update_queues(loop, keys, labels, draws, sampling)
        for name in NAMES:
            torch.testing.assert_close(ours[name], loop[name])
    assert torch.equal(
        ours['pixel_queue'].norm(dim=2).round(decimals=4), torch.ones(4, 50)
    )


@pytest.mark.parametrize(
    ('pointer', 'count', 'first', 'after'),
    [
        (0, 3, 0, 3),
        (6, 3, 6, 9),
        (7, 3, 7, 0),  # the end of the queue is reached exactly
        (9, 3, 7, 0),  # written to the tail, restarted
        (9, 0, None, 9),
    ],
)
def test_tail_rule(pointer, count, first, after):
    queue = torch.zeros(1, 10, 1)
    pointers = torch.tensor([pointer])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 4, 1)
    enqueue(queue, pointers, values, torch.tensor([[count]]))
    expected = torch.zeros(10)
    if first is not None:
        expected[first : first + count] = torch.arange(1.0, count + 1)
    assert torch.equal(queue[0, :, 0], expected)
    assert pointers.tolist() == [after]


def test_values_fill_the_whole_queue():
    queue = torch.zeros(1, 4, 1)
    pointer = torch.tensor([2])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 4, 1)
    enqueue(queue, pointer, values, torch.tensor([[4]]))
    assert queue.flatten().tolist() == [1, 2, 3, 4] and pointer.item() == 0


def test_later_images_overwrite_earlier_ones():
    queue = torch.zeros(1, 4, 1)
    pointer = torch.tensor([0])
    values = torch.arange(1.0, 7.0).view(2, 1, 3, 1)
    enqueue(queue, pointer, values, torch.tensor([[3], [3]]))
    assert queue.flatten().tolist() == [1, 4, 5, 6] and pointer.item() == 0


def test_random_queue_has_unit_vectors():
    queue = random_queue(3, 6, 5)
    assert queue.shape == (3, 6, 5)
    torch.testing.assert_close(queue.norm(dim=2), torch.ones(3, 6))
