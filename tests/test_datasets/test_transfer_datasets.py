"""STL-10 and TinyImageNet, and their configs at 32x32."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('mmpretrain')
from mmkd.evaluation.features import collect_features, data_loader  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import DATASETS  # noqa: E402
from mmkd.toys import toy_classifier  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
NAMES = ['stl10', 'tiny_imagenet']


def write_stl10(root: Path) -> np.ndarray:
    """Write four images per split; return those of training, (N, H, W, C)."""
    folder = root / 'stl10_binary'
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), 'uint8')
    for split in ('train', 'test'):
        images.transpose(0, 3, 2, 1).tofile(folder / f'{split}_X.bin')
        np.array([1, 10, 2, 3], 'uint8').tofile(folder / f'{split}_y.bin')
    return images


def write_tiny_imagenet(root: Path) -> None:
    """Write two classes; a validation image is as bright as its label."""
    folder = root / 'tiny-imagenet-200'
    (folder / 'val' / 'images').mkdir(parents=True)
    (folder / 'wnids.txt').write_text('n02\nn01\n')
    rows = []
    for label, name in enumerate(('n01', 'n02')):
        image = np.full((64, 64, 3), 200 * label, 'uint8')
        images = folder / 'train' / name / 'images'
        images.mkdir(parents=True)
        for k in range(3):
            cv2.imwrite(str(images / f'{name}_{k}.JPEG'), image)
        cv2.imwrite(str(folder / 'val' / 'images' / f'v_{name}.JPEG'), image)
        rows.append(f'v_{name}.JPEG\t{name}\t0\t0\t62\t62')
    (folder / 'val' / 'val_annotations.txt').write_text('\n'.join(rows))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('MMKD_DATA', str(tmp_path))
    return tmp_path


def config_of(name: str) -> Any:
    config = Config.fromfile(CONFIGS / f'{name}_32x32.py')
    for split in ('train', 'test'):
        loader = config[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
    return config


def test_stl10_reads_columns_first(root: Path) -> None:
    images = write_stl10(root)
    folder = str(root / 'stl10_binary')
    data = DATASETS.build(dict(type='mmkd.STL10', data_root=folder))
    found = [data.get_data_info(k) for k in range(len(data))]
    np.testing.assert_array_equal([i['img'] for i in found], images)
    assert [i['gt_label'] for i in found] == [0, 9, 1, 2]
    assert len(data.metainfo['classes']) == 10


def test_labels_of_tiny_imagenet(root: Path) -> None:
    write_tiny_imagenet(root)
    loader = data_loader(config_of('tiny_imagenet'), 'test')
    assert loader.dataset.metainfo['classes'] == ('n01', 'n02')
    (batch,) = loader
    for image, sample in zip(
        batch['inputs'], batch['data_samples'], strict=True
    ):
        assert abs(float(image.float().mean()) - 200 * sample.gt_label) < 3
    assert len(data_loader(config_of('tiny_imagenet'), 'train').dataset) == 6


@pytest.mark.parametrize('name', NAMES)
def test_configs_give_features(name: str, root: Path) -> None:
    write_stl10(root)
    write_tiny_imagenet(root)
    config = config_of(name)
    network = build_network(toy_classifier(width=4))
    for split in ('train', 'test'):
        loader = data_loader(config, split)
        assert next(iter(loader))['inputs'].shape[1:] == (3, 32, 32)
        found = collect_features(network, loader, augmented=split == 'train')
        assert torch.isfinite(found.feats).all()
        assert len(found.feats) == len(loader.dataset)


@pytest.mark.parametrize('name', NAMES)
def test_missing_folder(name: str, root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'get http\S+, unpack it.*'):
        data_loader(config_of(name), 'train')


@pytest.mark.parametrize('kind', ['STL10', 'TinyImageNet'])
def test_unknown_split(kind: str) -> None:
    with pytest.raises(ValueError, match="split='unlabeled' is unknown"):
        DATASETS.build(
            dict(type=f'mmkd.{kind}', data_root='x', split='unlabeled')
        )


def test_damaged_stl10(root: Path) -> None:
    write_stl10(root)
    folder = root / 'stl10_binary'
    (folder / 'train_y.bin').write_bytes(b'\x01\x02')
    with pytest.raises(ValueError, match='2 labels.*again'):
        DATASETS.build(dict(type='mmkd.STL10', data_root=str(folder)))


def stl10(root: Path) -> Any:
    folder = str(root / 'stl10_binary')
    return DATASETS.build(dict(type='mmkd.STL10', data_root=folder))


def tiny(root: Path, split: str) -> Any:
    folder = str(root / 'tiny-imagenet-200')
    return DATASETS.build(
        dict(type='mmkd.TinyImageNet', data_root=folder, split=split)
    )


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('train_X.bin', b'', r'train_X\.bin" is empty; unpack'),
        ('train_y.bin', b'', r'train_y\.bin" is empty; unpack'),
        ('train_y.bin', bytes([1, 2, 3]), 'do not belong together'),
        ('train_y.bin', bytes([0, 1, 2, 99]), 'labels from 0 to 99, expected'),
    ],
)
def test_stl10_names_what_is_damaged(root, name, content, words):
    write_stl10(root)
    (root / 'stl10_binary' / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        stl10(root)


def test_tiny_imagenet_with_missing_parts(root):
    write_tiny_imagenet(root)
    folder = root / 'tiny-imagenet-200'
    assert len(tiny(root, 'train')) == 6
    shutil.rmtree(folder / 'train' / 'n02')
    words = r'1 of 2 classes of wnids\.txt have no images, .*n02'
    with pytest.raises(FileNotFoundError, match=words):
        tiny(root, 'train')
    (folder / 'val' / 'images' / 'v_n01.JPEG').unlink()
    words = r'1 of 2 validation images are missing, .*v_n01'
    with pytest.raises(FileNotFoundError, match=words):
        tiny(root, 'val')
    (folder / 'val' / 'val_annotations.txt').write_text('v.JPEG n99 0 0\n')
    with pytest.raises(ValueError, match='line "v.JPEG n99 0 0", which names'):
        tiny(root, 'val')
