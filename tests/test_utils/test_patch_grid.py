"""Patches of a grid: sizes, centres, rearranging."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd.utils.patch_grid import (
    check_grid,
    check_permutation,
    cut,
    patch_size,
    rearrange,
    slot_centres,
    true_slots,
)
from tests.references import hsjp

GRIDS = [((2, 2), (8, 8)), ((4, 3), (9, 8)), ((1, 5), (10, 2))]


@pytest.mark.parametrize(('grid', 'size'), GRIDS)
def test_rearranging_equals_the_loop_and_undoes_itself(grid, size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    order = rng.permutation(grid[0] * grid[1])
    shuffled = rearrange(image, order, grid)
    assert np.array_equal(shuffled, hsjp.shuffle(image, order, grid))
    assert np.array_equal(rearrange(shuffled, np.argsort(order), grid), image)
    assert shuffled.flags.c_contiguous


def test_views_are_rearranged_too():
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    view = image[:, ::-1]
    expected = hsjp.shuffle(view.copy(), [3, 2, 1, 0], (2, 2))
    assert np.array_equal(rearrange(view, [3, 2, 1, 0], (2, 2)), expected)


def test_gray_and_float_images():
    image = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6)
    result = rearrange(image, [1, 0], (1, 2))
    assert np.array_equal(result, np.roll(image, 3, axis=1))
    assert result.dtype == np.float32


def test_patch_k_is_at_row_and_column():
    image = np.arange(24).reshape(4, 6)
    assert np.array_equal(cut(image, (2, 3))[1, :, 2], image[2:, 4:])


@pytest.mark.parametrize(('grid', 'size'), GRIDS)
def test_centres(grid, size):
    patch = patch_size('Test', size, grid)
    identity = range(grid[0] * grid[1])
    expected = hsjp.centres(identity, grid, size)
    assert np.array_equal(slot_centres(grid, patch), expected)


def test_true_slots_of_the_two_modes_are_inverse():
    order = np.array([2, 0, 3, 1])
    assert true_slots(order, 'patch_location').tolist() == [1, 3, 0, 2]
    assert true_slots(order, 'patch_origin').tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize('grid', [(1, 1), (0, 3), (2,), 4, (2.0, 3), None])
def test_no_grid(grid):
    with pytest.raises(ValueError, match=r'Test: grid_size=.*set e\.g\.'):
        check_grid('Test', grid)


def test_sizes_that_do_not_fit():
    words = r'input size \(192, 256\) is not divisible by grid \(3, 3\)'
    with pytest.raises(ValueError, match=words):
        patch_size('Test', (192, 256), (3, 3))
    assert patch_size('Test', (288, 384), (3, 3)) == (128, 96)
    with pytest.raises(ValueError, match='smaller than grid'):
        patch_size('Test', (2, 256), (4, 3))


@pytest.mark.parametrize('order', [[0, 0], [1, 2], [0], [0, 1, 2]])
def test_no_permutation(order):
    with pytest.raises(ValueError, match='each of 0 to 1 once'):
        check_permutation('Test', order, 2)
