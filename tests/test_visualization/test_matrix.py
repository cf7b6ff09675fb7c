from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from mmkd.visualization import plot_matrix


def test_cells_are_in_place_and_darker_for_greater_values(
    tmp_path: Path,
) -> None:
    matrix = np.array([[1.0, 0.2], [0.6, 1.0]])
    path = tmp_path / 'matrix.png'
    plot_matrix(matrix, ['a', 'b'], path, title='t', limits=(0.0, 1.0))
    image = cv2.imread(str(path)).astype(int)
    places, light = {}, {}
    for value in (0.2, 0.6, 1.0):
        colour = np.rint(np.array(matplotlib.colormaps['Blues'](value)) * 255)
        same = np.abs(image - colour[2::-1]).max(axis=-1) <= 1
        assert same.sum() > 2000
        places[value] = np.median(np.nonzero(same), axis=1)
        light[value] = colour[:3].sum()
    assert light[0.2] > light[0.6] > light[1.0]
    assert places[0.2][0] < places[0.6][0]  # row 0 is above row 1
    assert places[0.2][1] > places[0.6][1]  # column 1 is right of column 0


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'3 names.*\(2, 2\)'):
        plot_matrix(np.eye(2), ['a', 'b', 'c'], tmp_path / 'x.png')
    with pytest.raises(ValueError, match='0 names'):
        plot_matrix(np.zeros((0, 0)), [], tmp_path / 'x.png')


def test_equal_networks_can_be_drawn(tmp_path: Path) -> None:
    for count in (1, 3):
        path = tmp_path / f'{count}.png'
        plot_matrix(np.ones((count, count)), ['n'] * count, path)
        assert cv2.imread(str(path)).min() < 100
