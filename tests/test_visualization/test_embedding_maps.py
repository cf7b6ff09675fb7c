from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmkd.visualization import plot_embedding_maps, project
from mmkd.visualization.embedding_maps import class_colours


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_pca_keeps_the_plane_of_greatest_variance(rng) -> None:
    feats = rng.normal(size=(40, 6))
    points = project(feats)
    unit = feats / np.linalg.norm(feats, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(np.cov(unit.T, bias=True))[::-1]
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(points.var(axis=0), values[:2])
    assert abs(np.corrcoef(points.T)[0, 1]) < 1e-10


def test_pca_sees_neither_length_nor_rotation(rng) -> None:
    feats = rng.normal(size=(30, 5))
    longer = feats * rng.uniform(0.1, 9, size=(30, 1))
    np.testing.assert_allclose(project(feats), project(longer))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    np.testing.assert_allclose(project(feats), project(feats @ rotation))


def test_zero_features_stay_finite() -> None:
    assert np.isfinite(project(np.zeros((4, 3)))).all()


def test_tsne_needs_scikit_learn(rng) -> None:
    feats = rng.normal(size=(12, 4))
    if find_spec('sklearn') is None:
        with pytest.raises(ImportError, match='pip install scikit-learn'):
            project(feats, 'tsne')
    else:
        points = project(feats, 'tsne')
        assert points.shape == (12, 2)
        np.testing.assert_array_equal(points, project(feats, 'tsne'))


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


def test_mistakes_are_named(tmp_path: Path, rng) -> None:
    with pytest.raises(ValueError, match='method="umap"'):
        project(rng.normal(size=(9, 4)), 'umap')
    with pytest.raises(ValueError, match=r'\(2, 4\) need at least 3 rows'):
        project(rng.normal(size=(2, 4)))
    path = tmp_path / 'x.png'
    with pytest.raises(ValueError, match='at least one map'):
        plot_embedding_maps({}, np.zeros(3, int), path)
    with pytest.raises(ValueError, match=r"'a' is \(4, 2\).*3 labels"):
        plot_embedding_maps({'a': np.zeros((4, 2))}, np.zeros(3, int), path)
