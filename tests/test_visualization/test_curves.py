from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd.visualization import plot_curves


def test_curves_are_drawn_in_their_colours(tmp_path: Path) -> None:
    panels = {
        'metric': {'a': ([1, 2, 3], [1.0, 2.0, 3.0]), 'b': ([1, 2], [2, 2])},
        'loss': {'b': ([1, 2, 3], [3.0, 1.0, 0.5])},
    }
    plot_curves(panels, tmp_path / 'curves.png')
    image = cv2.imread(str(tmp_path / 'curves.png'))
    assert image.shape[1] > 2 * image.shape[0]
    right = image[:, image.shape[1] // 2 :]
    for part, colour, expected in (
        (image, (0x44, 0x44, 0x44), True),
        (image, (0x00, 0x72, 0xB2), True),
        (right, (0x44, 0x44, 0x44), False),
        (right, (0x00, 0x72, 0xB2), True),
    ):
        same = (part == colour[::-1]).all(axis=-1).sum()
        assert bool(same > 50) is expected


def test_unequal_lengths_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a'.*2 x values and 1 y"):
        plot_curves({'m': {'a': ([1, 2], [1.0])}}, tmp_path / 'x.png')
    with pytest.raises(ValueError, match='empty'):
        plot_curves({}, tmp_path / 'x.png')


def drawn(path: Path, **options: object) -> np.ndarray:
    plot_curves({'m': {'a': ([1, 2, 3], [7.0, 9.0, 8.0])}}, path, **options)
    image = cv2.imread(str(path))
    return (image == (0x44, 0x44, 0x44)).all(axis=-1)


def test_vertical_axis_may_begin_near_the_values(tmp_path: Path) -> None:
    heights = [
        np.ptp(np.nonzero(drawn(tmp_path / 'x.png', from_zero=zero))[0])
        for zero in (True, False)
    ]
    assert heights[1] > 2 * heights[0]


def test_dashed_lines_have_gaps(tmp_path: Path) -> None:
    whole = drawn(tmp_path / 'x.png').sum()
    gaps = drawn(tmp_path / 'x.png', dashed=['a']).sum()
    assert 0.3 * whole < gaps < 0.9 * whole
