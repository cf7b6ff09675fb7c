"""Bars of methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from mmkd.visualization import plot_bars

BLUE = (0x00, 0x72, 0xB2)
LINE = (0xD5, 0x5E, 0x00)


def count(path: Path, colour: tuple[int, int, int], row: slice) -> int:
    image = cv2.imread(str(path))[row]
    return int((image == colour[::-1]).all(axis=-1).sum())


def blue(path: Path, rows: slice) -> int:
    """Pixels of bars, which are half transparent."""
    image = cv2.imread(str(path))[rows].astype(int)
    return int((image[..., 0] - image[..., 2] > 60).sum())


def test_longer_bars_for_greater_means(tmp_path: Path) -> None:
    path = tmp_path / 'bars.png'
    values = {'low': [50.0, 51.0], 'high': [55.0, 56.0]}
    plot_bars(values, path, 'top-1', 'low')
    half = cv2.imread(str(path)).shape[0] * 2 // 5
    low, high = slice(0, half), slice(half, 2 * half)
    assert blue(path, high) > 2 * blue(path, low) > 0
    assert count(path, LINE, slice(None)) > 50


def test_no_line_without_a_baseline(tmp_path: Path) -> None:
    path = tmp_path / 'bars.png'
    plot_bars({'only': [1.0]}, path, 'top-1')
    assert count(path, LINE, slice(None)) == 0


@pytest.mark.parametrize('values', [{}, {'a': []}])
def test_refuses_nothing(values: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='at least one method'):
        plot_bars(values, tmp_path / 'bars.png', 'top-1')


def test_refuses_an_unknown_baseline(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match='"b" is none of a'):
        plot_bars({'a': [1.0]}, tmp_path / 'bars.png', 'top-1', 'b')
