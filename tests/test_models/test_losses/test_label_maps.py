from __future__ import annotations

import pytest
import torch

from mmkd.models.losses.label_maps import class_labels, downsample_labels
from tests.references import cirkd


@pytest.mark.parametrize('k', range(5))
def test_golden(golden, k):
    case = golden('cirkd', '12_label_downsample')
    labels = torch.from_numpy(case[f'in{k}'])
    expected = torch.from_numpy(case[f'out{k}'])
    shape = (len(labels), 7, *expected.shape[1:])
    assert torch.equal(downsample_labels(labels, shape), expected)
    assert torch.equal(downsample_labels(labels[:, None], shape), expected)


@pytest.mark.parametrize('size', [(3, 4), (7, 9), (11, 10), (14, 20)])
def test_equals_loop(size):
    labels = torch.randint(0, 9, (2, 11, 10))
    ours = downsample_labels(labels, (2, 1, *size))
    assert torch.equal(ours, cirkd.nearest_labels(labels, size))


def test_wrong_shape():
    with pytest.raises(ValueError, match=r'labels are \(3, 8, 8\).*N=2'):
        downsample_labels(torch.zeros(3, 8, 8), (2, 5, 4, 4))


@pytest.mark.parametrize('ignore_index', [255, -1, 2])
def test_class_labels(ignore_index):
    labels = torch.tensor([[0, 1, ignore_index, 3]], dtype=torch.int32)
    classes = class_labels(labels, 4, ignore_index)
    assert classes.tolist() == [[0, 1, 4, 3]]
    assert classes.dtype == torch.int64


def test_labels_outside_the_classes():
    labels = torch.tensor([0, 255, 7, -2])
    with pytest.raises(
        ValueError, match=r'label -2, 7, 255 found but ignore_index=-1'
    ):
        class_labels(labels, 4, ignore_index=-1)
    unchecked = class_labels(labels, 4, ignore_index=-1, check=False)
    assert unchecked.tolist() == [0, 4, 4, 4]
