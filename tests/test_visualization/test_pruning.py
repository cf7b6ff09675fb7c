from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd.visualization.pruning import (
    _without_common_ends,
    plot_filter_norms,
    plot_tradeoff,
    plot_zero_shares,
)


def colours(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))[..., ::-1].reshape(-1, 3).astype(int)
    return image


def near(path: Path, colour: tuple[int, int, int]) -> int:
    return int((np.abs(colours(path) - colour).max(1) < 70).sum())


def test_pruned_filters_have_another_colour(tmp_path: Path) -> None:
    norms = dict(conv1=np.array([[1.0, 2, 3, 4], [4, 1, 2, 3]]))
    orange = (213, 94, 0)
    plot_filter_norms(norms, tmp_path / 'none.png')
    assert near(tmp_path / 'none.png', orange) == 0
    counts = []
    for rate in (0.25, 0.5):
        path = tmp_path / 'some.png'
        plot_filter_norms(norms, path, rate, title='norms')
        counts.append(near(path, orange))
    assert 0 < counts[0] < counts[1]


def test_bars_are_as_high_as_the_shares(tmp_path: Path) -> None:
    path = tmp_path / 'zeros.png'
    blue = (0, 114, 178)
    areas = []
    for share in (0.1, 0.4):
        plot_zero_shares({'a': {'conv1': 0.4, 'conv2': share}}, path)
        areas.append(near(path, blue))
    assert areas[1] / areas[0] == pytest.approx(8 / 5, rel=0.1)


def test_points_of_a_series_are_joined(tmp_path: Path) -> None:
    series = dict(
        baseline=[(8.0, 75.0, 0.0)], sfp=[(4.0, 60.0, 0.0), (6.0, 72.0, 2.8)]
    )
    plot_tradeoff(series, tmp_path / 'tradeoff.png', 'acc')
    assert near(tmp_path / 'tradeoff.png', (0, 114, 178)) > 100


def test_common_words_of_names_are_left_out() -> None:
    assert _without_common_ends(['cpu_a_b_x', 'cpu_a_c_x', 'cpu_d_x']) == [
        'a_b',
        'a_c',
        'd',
    ]
    assert _without_common_ends(['cpu_x', 'cpu_a_x']) == ['x', 'a_x']
    assert _without_common_ends(['cpu_a_x']) == ['x']


def test_mistakes_are_named(tmp_path: Path) -> None:
    for function in (plot_filter_norms, plot_zero_shares, plot_tradeoff):
        with pytest.raises(ValueError, match='to draw; give one|give a'):
            function({}, tmp_path / 'x.png')
