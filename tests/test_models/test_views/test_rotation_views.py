"""Rotated views and their joint labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmkd.models.views import CroppedRotationViews, RotationViews


def test_golden(golden: Any) -> None:
    case = golden('hssakd', 'rotate_expand')
    views, labels = RotationViews()(
        torch.from_numpy(case['images']), torch.from_numpy(case['target'])
    )
    assert np.array_equal(views.numpy(), case['rotated'])
    assert np.array_equal(labels.numpy(), case['joint_labels'])


@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_by_loop(count: int) -> None:
    images, labels = torch.randn(3, 2, 5, 5), torch.tensor([4, 0, 2])
    layer = RotationViews(count)
    views, joint = layer(images, labels)
    assert views.shape == (3 * count, 2, 5, 5)
    for n in range(3):
        for r in range(count):
            row = n * count + r
            turned = np.rot90(images[n].numpy(), r, (1, 2))
            assert np.array_equal(views[row].numpy(), turned)
            assert joint[row] == labels[n] * count + r
    assert torch.equal(views[layer.task_rows(3)], images)


@pytest.mark.parametrize('kind', [RotationViews, CroppedRotationViews])
@pytest.mark.parametrize(
    'layout', [torch.contiguous_format, torch.channels_last]
)
def test_memory_format_is_kept(
    kind: type[RotationViews], layout: torch.memory_format
) -> None:
    images = torch.randn(3, 2, 6, 6).contiguous(memory_format=layout)
    views, _ = kind()(images, torch.arange(3))
    assert views.is_contiguous(memory_format=layout)


@pytest.mark.parametrize('count', [0, 5, -1])
def test_number_of_rotations(count: int) -> None:
    with pytest.raises(ValueError, match=f'num_rotations={count}'):
        RotationViews(count)


def test_images_must_be_square() -> None:
    images, labels = torch.zeros(1, 3, 4, 6), torch.zeros(1, dtype=torch.long)
    with pytest.raises(ValueError, match='square images, got 4x6'):
        RotationViews()(images, labels)
    views, _ = RotationViews(1)(images, labels)
    assert torch.equal(views, images)


@pytest.mark.parametrize('shape', [(2, 8, 8), (3,), (2, 1)])
def test_one_label_per_image(shape: tuple[int, ...]) -> None:
    labels = torch.zeros(shape, dtype=torch.long)
    with pytest.raises(ValueError, match='one class label per image'):
        RotationViews()(torch.zeros(2, 3, 8, 8), labels)
