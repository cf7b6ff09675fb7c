"""SVHN as torchvision reads it, from small files of its form."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmpretrain')
scipy_io = pytest.importorskip('scipy.io')

from torchvision import datasets as torchvision_datasets  # noqa: E402

from mmkd.datasets.svhn import SVHN  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of 6 images; torchvision takes them for the official ones."""
    rng = np.random.default_rng(0)
    lists: dict[str, Any] = {}
    for split in ('train', 'test'):
        images = rng.integers(0, 256, (32, 32, 3, 6), dtype=np.uint8)
        labels = np.array([[10], [1], [2], [9], [10], [5]], dtype=np.uint8)
        file = tmp_path / f'{split}_32x32.mat'
        scipy_io.savemat(file, dict(X=images, y=labels))
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        lists[split] = ['', file.name, md5]
    monkeypatch.setattr(torchvision_datasets.SVHN, 'split_list', lists)
    return tmp_path


def test_images_and_labels(folder: Path) -> None:
    data = SVHN(str(folder), 'test', batched=True, download=False)
    assert len(data) == 6
    assert data.metainfo['classes'] == tuple('0123456789')
    assert data.get_gt_labels().tolist() == [0, 1, 2, 9, 0, 5]
    first, last = data.__getitems__([0, 5])
    raw = scipy_io.loadmat(folder / 'test_32x32.mat')['X']
    expected = torch.from_numpy(raw[..., 5].transpose(2, 0, 1).copy())
    assert torch.equal(last['inputs'], expected)
    assert first['data_samples'].gt_label.tolist() == [0]


def test_stock_pipelines(folder: Path) -> None:
    data = SVHN(str(folder), 'train', download=False)
    assert data[2]['img'].shape == (32, 32, 3)
    assert data[2]['gt_label'] == 2


def test_missing_files(tmp_path: Path) -> None:
    words = r'no \(or not the official\) test_32x32.mat: Dataset not found'
    with pytest.raises(FileNotFoundError, match=words):
        SVHN(str(tmp_path), 'test', download=False)
