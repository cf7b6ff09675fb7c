from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from mmkd.evaluation.projection import project


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


def test_mistakes_are_named(rng) -> None:
    with pytest.raises(ValueError, match='method="umap"'):
        project(rng.normal(size=(9, 4)), 'umap')
    with pytest.raises(ValueError, match=r'\(2, 4\) need at least 3 rows'):
        project(rng.normal(size=(2, 4)))
