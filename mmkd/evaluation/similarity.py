"""How alike two networks are, by their features or predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from mmkd.evaluation.features import Features


def linear_cka(one: torch.Tensor, two: torch.Tensor) -> float:
    """Linear centred kernel alignment, from 0 to 1.

    ||X^T Y||^2 / (||X^T X|| ||Y^T Y||) of features centred over images
    (Kornblith et al., https://arxiv.org/abs/1905.00414). It does not change
    under rotations and a common scale; the widths may differ.

    Shape:
        one: (N, C).
        two: (N, D).
    """
    _check_rows(one, two)
    x = one.double() - one.double().mean(dim=0)
    y = two.double() - two.double().mean(dim=0)
    both = (x.T @ y).norm() ** 2
    scale = (x.T @ x).norm() * (y.T @ y).norm()
    return float(both / scale) if scale > 0 else 0.0


def mean_cosine(one: torch.Tensor, two: torch.Tensor) -> float:
    """Mean over images of the cosine of their two features, -1 to 1.

    It compares coordinates, so it says something only of networks that
    were drawn into one embedding space.

    Shape:
        one, two: (N, D).
    """
    _check_rows(one, two)
    if one.shape[1] != two.shape[1]:
        raise ValueError(
            f'mean cosine: the features have widths {one.shape[1]} and '
            f'{two.shape[1]}; use "cka" for networks of different widths'
        )
    return float(F.cosine_similarity(one, two, dim=1).mean())


def agreement(one: torch.Tensor, two: torch.Tensor) -> float:
    """Share of images for which two (N,) predictions are equal, 0 to 1."""
    _check_rows(one, two)
    return float((one == two).float().mean())


MEASURES = ('cka', 'cosine', 'agreement')


def similarity_matrix(
    networks: Sequence[Features], measure: str = 'cka'
) -> np.ndarray:
    """Compare every network with every other.

    Args:
        networks: M networks' features of the same images.
        measure: ``'cka'``, ``'cosine'``, or ``'agreement'`` of predictions.

    Returns:
        (M, M), symmetric, ones on the diagonal.

    Raises:
        ValueError: unknown measure, predictions that are missing, or
            networks that saw other images.
    """
    if measure not in MEASURES:
        raise ValueError(
            f'measure="{measure}" is unknown; use one of {MEASURES}'
        )
    first = networks[0].labels
    if any(not torch.equal(first, other.labels) for other in networks):
        raise ValueError(
            'similarity: the networks saw different images; give all of '
            'them the same data'
        )
    if measure == 'agreement':
        values = [network.predictions for network in networks]
    else:
        values = [network.feats for network in networks]
    tensors = [value for value in values if value is not None]
    if len(tensors) != len(networks):
        raise ValueError(
            'similarity: a network has no predictions; collect features with '
            'with_predictions=True'
        )
    compare = dict(cka=linear_cka, cosine=mean_cosine, agreement=agreement)
    matrix = np.eye(len(tensors))
    for i in range(len(tensors)):
        for j in range(i):
            value = compare[measure](tensors[i], tensors[j])
            matrix[i, j] = matrix[j, i] = value
    return matrix


def _check_rows(one: torch.Tensor, two: torch.Tensor) -> None:
    if len(one) != len(two):
        raise ValueError(
            f'similarity: {len(one)} and {len(two)} images; give the same'
        )
