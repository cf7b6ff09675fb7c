from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mmkd.models.memory import ContrastIndices

# classes 9, 2, 5 with 4, 3 and 5 members, mixed
LABELS = [9, 2, 5, 5, 9, 9, 2, 5, 5, 2, 9, 5]


def test_indices_belong_to_the_right_classes():
    labels = torch.tensor(LABELS)
    draw = ContrastIndices(labels, num_positives=3, num_negatives=50)
    sample_idx = torch.tensor([0, 1, 2, 11, 1])
    positives, negatives = draw(sample_idx)
    assert positives.shape == (5, 4) and negatives.shape == (5, 50)
    assert positives.dtype == negatives.dtype == torch.int64
    assert torch.equal(positives[:, 0], sample_idx)
    own = labels[sample_idx][:, None]
    assert (labels[positives] == own).all()
    assert (labels[negatives] != own).all()
    for row in positives[:, 1:]:
        assert len(row.unique()) == 3


@pytest.mark.parametrize('as_type', [list, np.array, torch.tensor])
def test_kinds_of_labels(as_type):
    positives, negatives = ContrastIndices(as_type(LABELS), 1, 4)(
        torch.tensor([3])
    )
    assert LABELS[positives[0, 1]] == 5
    assert all(LABELS[i] != 5 for i in negatives[0].tolist())


def test_negatives_are_uniform_over_the_other_classes():
    draw = ContrastIndices(LABELS, 1, 8000)
    generator = torch.Generator().manual_seed(1)
    for sample in (0, 1, 2):
        _, negatives = draw(torch.tensor([sample]), generator)
        counts = negatives[0].bincount(minlength=12).double()
        others = torch.tensor([y != LABELS[sample] for y in LABELS])
        expected = 8000 / int(others.sum())
        assert (counts[~others] == 0).all()
        # five standard deviations
        assert (counts[others] - expected).abs().max() < 5 * expected**0.5


def test_sets_of_positives_are_equally_likely():
    draw = ContrastIndices(LABELS, 2, 1)
    members = [i for i, y in enumerate(LABELS) if y == 9]
    generator = torch.Generator().manual_seed(1)
    positives, _ = draw(torch.full((6000,), members[0]), generator)
    pairs = positives[:, 1:].sort(1).values.tolist()
    for pair in itertools.combinations(members, 2):
        assert abs(pairs.count(list(pair)) - 1000) < 5 * 1000**0.5


def test_whole_class_as_positives():
    draw = ContrastIndices(LABELS, 3, 1)
    positives, _ = draw(torch.tensor([1, 9]))
    for row in positives[:, 1:]:
        assert sorted(row.tolist()) == [1, 6, 9]


def test_generator_reproduces_and_nothing_is_saved():
    draw = ContrastIndices(LABELS, 2, 6)
    index = torch.tensor([0, 5])
    first = draw(index, torch.Generator().manual_seed(3))
    again = draw(index, torch.Generator().manual_seed(3))
    other = draw(index, torch.Generator().manual_seed(4))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert not draw.state_dict()


@pytest.mark.parametrize(
    ('labels', 'settings', 'message'),
    [
        (LABELS, dict(num_positives=4), 'class 2 has 3 samples, fewer'),
        ([1, 1, 1], {}, '3 samples of 1 class leave no negatives'),
        (torch.rand(4), {}, 'one integer per sample, got torch.float32'),
        (torch.zeros(4, 3).long(), {}, r'\(4, 3\)'),
        (LABELS, dict(num_positives=0), 'num_positives=0'),
        (LABELS, dict(num_negatives=0), 'num_negatives=0'),
    ],
)
def test_wrong_settings(labels, settings, message):
    with pytest.raises(ValueError, match=message):
        ContrastIndices(labels, **settings)


@pytest.mark.parametrize(
    ('sample_idx', 'message'),
    [
        (torch.tensor([0, 12]), 'reaches from 0 to 12.*num_samples=12'),
        (torch.tensor([-1]), 'reaches from -1 to -1'),
        (torch.tensor([0.0]), 'integers, got torch.float32'),
        (torch.tensor([[0]]), r'\(1, 1\)'),
    ],
)
def test_wrong_sample_idx(sample_idx, message):
    with pytest.raises(ValueError, match=message):
        ContrastIndices(LABELS, 1, 2)(sample_idx)
