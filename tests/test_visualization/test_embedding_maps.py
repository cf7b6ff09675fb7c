from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd.visualization import plot_embedding_maps
from mmkd.visualization.embedding_maps import class_colours


def test_maps_show_every_class_in_its_colour(tmp_path: Path) -> None:
    labels = np.array([0, 0, 1, 1])
    left = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    path = tmp_path / 'maps.png'
    plot_embedding_maps({'a': left, 'b': left}, labels, path, ['cat', 'dog'])
    image = cv2.imread(str(path)).astype(int)
    assert image.shape[1] > 1.5 * image.shape[0]
    colours = np.rint(class_colours(2) * 255)
    without_legend = image[:, : image.shape[1] * 12 // 13]
    for half in np.array_split(without_legend, 2, axis=1):
        columns = []
        for colour in colours:
            light = 0.8 * colour + 0.2 * 255  # drawn with opacity 0.8
            near = np.abs(half - light[::-1]).max(axis=-1) < 12
            assert near.sum() > 20
            columns.append(np.nonzero(near)[1].mean())
        assert columns[0] < columns[1]


def test_colours_are_distinct() -> None:
    for count in (1, 10, 20, 60):
        colours = class_colours(count)
        assert colours.shape == (count, 3)
        assert len(np.unique(colours.round(4), axis=0)) == count


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / 'x.png'
    with pytest.raises(ValueError, match='at least one map'):
        plot_embedding_maps({}, np.zeros(3, int), path)
    with pytest.raises(ValueError, match=r"'a' is \(4, 2\).*3 labels"):
        plot_embedding_maps({'a': np.zeros((4, 2))}, np.zeros(3, int), path)
