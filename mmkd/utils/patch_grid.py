"""Images cut into R x C equal patches, numbered row by row from 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LABEL_MODES = ('patch_location', 'patch_origin')


def check_grid(owner: str, grid_size: Sequence[int]) -> tuple[int, int]:
    """Return ``grid_size`` as (rows, columns).

    Args:
        owner: name of the class for the message.
        grid_size: numbers of rows and of columns.

    Raises:
        ValueError: not two positive integers, or a single patch.
    """
    grid = tuple(grid_size) if isinstance(grid_size, Sequence) else grid_size
    pair = isinstance(grid, tuple) and len(grid) == 2
    if not pair or not all(isinstance(n, int | np.integer) for n in grid):
        raise ValueError(
            f'{owner}: grid_size={grid_size!r} must be (rows, columns), two '
            'integers; set e.g. grid_size=(4, 3)'
        )
    rows, columns = int(grid[0]), int(grid[1])
    if min(rows, columns) < 1 or rows * columns < 2:
        raise ValueError(
            f'{owner}: grid_size={(rows, columns)} makes no puzzle, at least '
            'two patches are needed; set e.g. grid_size=(4, 3)'
        )
    return rows, columns


def patch_size(
    owner: str,
    size: Sequence[int],
    grid: tuple[int, int],
    what: str = 'input size',
) -> tuple[int, int]:
    """Return (height, width) of a patch.

    Args:
        owner: name of the class for the message.
        size: (width, height) of the image or heat map.
        grid: (rows, columns).
        what: what ``size`` is, for the message.

    Raises:
        ValueError: ``size`` is smaller than the grid or not divisible by it.
    """
    (width, height), (rows, columns) = (int(n) for n in size), grid
    if height < rows or width < columns:
        raise ValueError(
            f'{owner}: {what} {(width, height)} is smaller than grid {grid}, '
            'a patch would have no pixel; enlarge it or set another grid_size'
        )
    if height % rows or width % columns:
        raise ValueError(
            f'{owner}: {what} {(width, height)} is not divisible by grid '
            f'{grid}: width {width} / {columns} columns, height {height} / '
            f'{rows} rows; set another grid_size or size'
        )
    return height // rows, width // columns


def check_permutation(
    owner: str, permutation: Sequence[int] | np.ndarray, count: int
) -> np.ndarray:
    """Return ``permutation`` as (count,) int64.

    Raises:
        ValueError: it does not hold 0 to count - 1 once each.
    """
    array = np.asarray(permutation)
    if not np.array_equal(np.sort(array, axis=None), np.arange(count)):
        raise ValueError(
            f'{owner}: permutation={array.tolist()} must hold each of 0 to '
            f'{count - 1} once, one entry per patch of grid_size'
        )
    return array.reshape(-1).astype(np.int64)


def slot_centres(grid: tuple[int, int], patch: tuple[int, int]) -> np.ndarray:
    """Centres (x, y) of all slots in pixels, of patches (height, width).

    Shape:
        returns: (R * C, 2), float32.
    """
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    height, width = patch
    x = columns * width + (width - 1) / 2
    y = rows * height + (height - 1) / 2
    return np.stack([x, y], axis=1).astype(np.float32)


def cut(image: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """View of the patches of an image (H, W, ...) that the grid divides.

    Shape:
        returns: (R, H / R, C, W / C, ...); patch k is ``[k // C, :, k % C]``.
    """
    (rows, columns), (height, width) = grid, image.shape[:2]
    shape = (rows, height // rows, columns, width // columns)
    return image.reshape(*shape, *image.shape[2:])


def rearrange(
    image: np.ndarray, order: Sequence[int] | np.ndarray, grid: tuple[int, int]
) -> np.ndarray:
    """Copy of an image (H, W, ...) whose slot s holds patch ``order[s]``.

    With the inverse order, ``np.argsort(order)``, it undoes itself.
    """
    columns = grid[1]
    result = np.empty(image.shape, image.dtype)
    source, target = cut(image, grid), cut(result, grid)
    for slot, patch in enumerate(np.asarray(order).tolist()):
        target[slot // columns, :, slot % columns] = source[
            patch // columns, :, patch % columns
        ]
    return result


def check_label_mode(owner: str, label_mode: str) -> None:
    """Raise ValueError unless ``label_mode`` is one of ``LABEL_MODES``."""
    if label_mode not in LABEL_MODES:
        raise ValueError(
            f'{owner}: label_mode={label_mode!r} is unknown; set it to one '
            f'of {LABEL_MODES}'
        )


def true_slots(permutation: np.ndarray, label_mode: str) -> np.ndarray:
    """Slots (K,) in which the K heat maps must peak."""
    if label_mode == 'patch_origin':
        return np.asarray(permutation)
    return np.argsort(permutation)
