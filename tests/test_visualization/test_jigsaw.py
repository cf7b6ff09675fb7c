from __future__ import annotations

import numpy as np
import pytest

from mmkd.utils.patch_grid import rearrange
from mmkd.visualization import (
    draw_heatmaps,
    draw_pose,
    draw_slots,
    reassemble,
)
from mmkd.visualization.jigsaw import RIGHT, WRONG, enlarged

GRID = (2, 2)
ORDER = np.array([2, 0, 3, 1])  # patches 0 to 3 are in slots 1, 3, 0, 2
FOUND = np.array([1, 3, 0, 2])


def crop() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 100, (16, 12, 3), dtype=np.uint8)


def has(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which quarters of the image contain a colour."""
    same = (image == colour).all(-1)
    height, width = (size // 2 for size in same.shape)
    quarters = same[: 2 * height, : 2 * width].reshape(2, height, 2, width)
    return quarters.any(axis=(1, 3)).ravel()


def test_the_right_slots_put_the_crop_together() -> None:
    shuffled = rearrange(crop(), ORDER, GRID)
    assert np.array_equal(reassemble(shuffled, FOUND, GRID), crop())
    wrong = reassemble(shuffled, np.array([1, 3, 0, 0]), GRID)
    assert np.array_equal(wrong[:8], crop()[:8])
    assert np.array_equal(wrong[8:, 6:], shuffled[:8, :6])


def test_found_patches_are_green_or_red() -> None:
    shuffled = rearrange(crop(), ORDER, GRID)
    solved = draw_slots(shuffled, FOUND, ORDER, GRID)
    assert solved.shape == (384, 288, 3)
    assert has(solved, RIGHT).all()
    assert not has(solved, WRONG).any()
    # patch 3 is sought in slot 0, where patch 2 is; slot 2 stays empty
    failed = draw_slots(shuffled, np.array([1, 3, 0, 0]), ORDER, GRID)
    assert has(failed, RIGHT).tolist() == [True, True, False, True]
    assert has(failed, WRONG).tolist() == [True, False, False, False]


def test_heat_maps_have_hues() -> None:
    maps = np.zeros((4, 4, 3), np.float32)
    maps[0, 0, 0] = maps[2, 3, 2] = 1.0
    image = np.zeros((16, 12, 3), np.uint8)
    drawn = draw_heatmaps(maps, GRID, image)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    first, third = drawn[:4, :4].max((0, 1)), drawn[-4:, -4:].max((0, 1))
    assert first.argmax() == 0
    assert third[0] < 30 < third[1:].max()
    assert drawn[:4, -4:].max() == 0


def test_poses_are_drawn_where_the_joints_are() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    points = np.array([[20.0, 20], [80, 20], [50, 90]])
    drawn = draw_pose(image, points, [(0, 1), (1, 2)], np.array([1, 1, 0]))
    assert drawn.shape == (400, 400, 3)
    assert (drawn[82, 82] == 255).all()
    assert drawn[82, 200].max() > 100  # the limb between two joints
    assert drawn[200:].max() == 0  # the third joint is not visible
    assert draw_pose(image, points, [])[362, 202].tolist() == [255] * 3
    assert image.max() == 0


def test_enlarging_repeats_pixels() -> None:
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    large = enlarged(image, 3)
    assert large.tolist() == np.kron(image, np.ones((2, 2))).tolist()
    assert enlarged(image, 2).shape == (2, 2)


def test_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match='not divisible by grid'):
        reassemble(np.zeros((15, 12, 3)), FOUND, GRID)
