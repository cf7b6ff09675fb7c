from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd.visualization import colour_map, overlay, plot_panels

PALETTE = [[255, 0, 0], [0, 200, 0]]


def test_colour_map_gives_each_class_its_colour() -> None:
    seg_map = np.array([[0, 1, 255]], np.uint8)
    expected = [[[255, 0, 0], [0, 200, 0], [9, 9, 9]]]
    found = colour_map(seg_map, PALETTE, ignore_colour=(9, 9, 9))
    assert found.tolist() == expected
    assert found.dtype == np.uint8


def test_overlay_blends() -> None:
    image = np.full((2, 2, 3), 100, np.uint8)
    colours = np.full((2, 2, 3), 200, np.uint8)
    assert (overlay(image, colours, 0.25) == 125).all()
    assert (overlay(image, colours, 1.0) == colours).all()


def test_overlay_names_unequal_sizes() -> None:
    small, large = np.zeros((2, 2, 3)), np.zeros((4, 4, 3))
    with pytest.raises(ValueError, match=r'\(2, 2, 3\).*\(4, 4, 3\)'):
        overlay(small, large)


def test_panels_show_every_image_in_its_column(tmp_path: Path) -> None:
    red = np.full((8, 8, 3), (250, 10, 10), np.uint8)
    blue = np.full((8, 8, 3), (10, 10, 250), np.uint8)
    path = tmp_path / 'panels.png'
    plot_panels(
        {'left': [red, red], 'right': [blue, blue]},
        path,
        legend={'thing': (10, 200, 10)},
        title='two by two',
    )
    image = cv2.imread(str(path))[..., ::-1].astype(int)
    half = image.shape[1] // 2

    def share(part: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float((abs(part - colour).max(-1) < 4).mean())

    assert share(image[:, :half], (250, 10, 10)) > 0.5
    assert share(image[:, half:], (10, 10, 250)) > 0.5
    assert share(image[:, half:], (250, 10, 10)) == 0
    assert share(image, (10, 200, 10)) > 0


def test_unequal_columns_are_named(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="'b': 2"):
        plot_panels({'a': [image], 'b': [image] * 2}, tmp_path / 'x.png')
