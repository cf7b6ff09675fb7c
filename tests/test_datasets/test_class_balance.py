"""Fixed subsets with equally many samples per class."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mmkd.datasets.class_balance import balanced_indices


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.RandomState(3).permutation(np.arange(5000) % 100)


@pytest.mark.parametrize('fraction', [0.25, 0.5, 0.75])
def test_classes_are_balanced(labels: np.ndarray, fraction: float) -> None:
    chosen = balanced_indices(labels, fraction)
    counts = np.bincount(labels[chosen], minlength=100)
    assert set(counts) == {round(50 * fraction)}
    assert chosen == sorted(set(chosen))


def test_smaller_ones_are_part_of_larger_ones(labels: np.ndarray) -> None:
    lists = [set(balanced_indices(labels, f)) for f in (0.25, 0.5, 0.75, 1)]
    for smaller, larger in zip(lists, lists[1:], strict=False):
        assert smaller < larger


def test_lists_are_fixed(labels: np.ndarray) -> None:
    chosen = balanced_indices(labels, 0.25)
    assert chosen == balanced_indices(labels.tolist(), 0.25)
    assert chosen != balanced_indices(labels, 0.25, seed=1)
    digest = hashlib.sha256(np.array(chosen, np.int64).tobytes())
    assert digest.hexdigest()[:12] == '1eadc4401110'


@pytest.mark.parametrize('fraction', [0, -0.5, 1.5])
def test_bad_fractions(fraction: float) -> None:
    with pytest.raises(ValueError, match='must be greater than 0'):
        balanced_indices([0, 1], fraction)


def test_a_class_is_left_without_samples() -> None:
    with pytest.raises(ValueError, match='none of the 1 samples of class 1'):
        balanced_indices([0, 0, 0, 0, 1], 0.25)
