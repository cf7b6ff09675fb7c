from __future__ import annotations

import numpy as np
import pytest
import torch

from mmkd.evaluation import Features
from mmkd.evaluation.similarity import (
    agreement,
    linear_cka,
    mean_cosine,
    similarity_matrix,
)


def test_cka_equals_its_definition_by_kernels() -> None:
    one, two = torch.randn(9, 4).double(), torch.randn(9, 6).double()
    centre = torch.eye(9).double() - 1 / 9
    k, m = (centre @ f @ f.T @ centre for f in (one, two))
    expected = (k * m).sum() / (k.norm() * m.norm())
    assert linear_cka(one, two) == pytest.approx(float(expected))


def test_cka_sees_neither_rotation_nor_scale_nor_shift() -> None:
    one, two = torch.randn(20, 5), torch.randn(20, 5)
    rotation = torch.linalg.qr(torch.randn(5, 5))[0]
    turned = 3 * one @ rotation + 7
    assert linear_cka(one, turned) == pytest.approx(1.0, abs=1e-5)
    assert linear_cka(one, two) == pytest.approx(
        linear_cka(turned, two), abs=1e-5
    )
    assert 0 < linear_cka(one, two) < 0.9
    assert linear_cka(one, torch.ones(20, 5)) == 0.0


def test_mean_cosine_and_agreement() -> None:
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    two = torch.tensor([[5.0, 0.0], [3.0, 3.0]])
    assert mean_cosine(one, two) == pytest.approx((1 + 0.5**0.5) / 2)
    assert mean_cosine(one, -one) == pytest.approx(-1.0)
    first, second = torch.tensor([1, 2, 3, 4]), torch.tensor([1, 0, 3, 0])
    assert agreement(first, second) == 0.5


def network(seed: int, width: int = 3, **changes: object) -> Features:
    generator = torch.Generator().manual_seed(seed)
    parts = dict(
        feats=torch.randn(12, width, generator=generator),
        labels=torch.arange(12) % 4,
        predictions=torch.randint(0, 4, (12,), generator=generator),
    )
    return Features(**{**parts, **changes})


@pytest.mark.parametrize('measure', ['cka', 'cosine', 'agreement'])
def test_matrix_has_every_pair(measure: str) -> None:
    networks = [network(seed) for seed in range(3)]
    matrix = similarity_matrix(networks, measure)
    assert matrix.shape == (3, 3)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    one, two = networks[0], networks[2]
    expected = dict(
        cka=linear_cka(one.feats, two.feats),
        cosine=mean_cosine(one.feats, two.feats),
        agreement=agreement(one.predictions, two.predictions),
    )
    assert matrix[0, 2] == pytest.approx(expected[measure])


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match='measure="l2"'):
        similarity_matrix([network(0)], 'l2')
    with pytest.raises(ValueError, match='different images'):
        shifted = network(1, labels=torch.arange(12) % 3)
        similarity_matrix([network(0), shifted])
    with pytest.raises(ValueError, match='no predictions'):
        blind = network(1, predictions=None)
        similarity_matrix([network(0), blind], 'agreement')
    with pytest.raises(ValueError, match='widths 5 and 3.*"cka"'):
        similarity_matrix([network(0), network(1, width=5)], 'cosine')
    with pytest.raises(ValueError, match='3 and 4 images'):
        agreement(torch.ones(3), torch.ones(4))
