"""Features of images as points of the plane."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

METHODS = ('pca', 'tsne')


def project(
    feats: np.ndarray, method: str = 'pca', seed: int = 0
) -> np.ndarray:
    """Map features of unit length to the plane.

    Features are scaled to unit length first, as contrastive losses and
    cosine classifiers see them.

    Args:
        feats: (N, D).
        method: ``'pca'`` (two directions of greatest variance), or
            ``'tsne'``, which needs scikit-learn.
        seed: of t-SNE.

    Returns:
        (N, 2), float64.

    Raises:
        ValueError: unknown method, or fewer than 3 images or 2 columns.
        ImportError: t-SNE without scikit-learn.
    """
    if method not in METHODS:
        raise ValueError(f'method="{method}" is unknown; use one of {METHODS}')
    feats = np.asarray(feats, np.float64)
    if feats.ndim != 2 or len(feats) < 3 or feats.shape[1] < 2:
        raise ValueError(
            f'embedding map: features {feats.shape} need at least 3 rows '
            '(images) and 2 columns; give more images'
        )
    norms = np.linalg.norm(feats, axis=1, keepdims=True)
    unit = feats / np.maximum(norms, 1e-12)
    if method == 'tsne':
        return _tsne(unit, seed)
    centred = unit - unit.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    points = centred @ directions.T
    # The sign of a direction is arbitrary: the longer side points up.
    longest = np.abs(points).argmax(axis=0)
    return points * np.where(points[longest, [0, 1]] < 0, -1.0, 1.0)


def _tsne(unit: np.ndarray, seed: int) -> np.ndarray:
    if find_spec('sklearn') is None:
        raise ImportError(
            'method="tsne" needs scikit-learn: pip install scikit-learn, or '
            'use "pca"'
        )
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(unit) - 1) / 3)
    tsne = TSNE(
        init='pca', metric='cosine', perplexity=perplexity, random_state=seed
    )
    return np.asarray(tsne.fit_transform(unit), np.float64)
