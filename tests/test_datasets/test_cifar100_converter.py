"""The CIFAR-100 converter on small folders and on the real data."""

from __future__ import annotations

import json
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmkd.datasets.converters import convert_cifar100
from mmkd.datasets.converters.cifar100 import CLASSES, COARSE_OF, SUPERCLASSES

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/cifar100.py'


def pixels(split, label, number):
    seed = (split == 'test', label, number)
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, lossless=True)


@pytest.fixture(params=['files', 'strips'])
def source(request, tmp_path):
    """Two training images and one test image of every class."""
    root = tmp_path / request.param
    for split, count in (('train', 2), ('test', 1)):
        for label, name in enumerate(CLASSES):
            images = [pixels(split, label, k) for k in range(count)]
            if request.param == 'strips':
                path = root / split / f'{label:02d}_{name}.webp'
                save(path, np.concatenate(images))
            else:
                for k, image in enumerate(images):
                    save(root / split / name / f'{k}.png', image)
    return root


def read(path):
    return pickle.loads(path.read_bytes())


def test_classes():
    assert len(CLASSES) == 100
    assert len(SUPERCLASSES) == 20
    assert list(SUPERCLASSES) == sorted(SUPERCLASSES)
    assert sorted(COARSE_OF.values()) == [
        k for k in range(20) for _ in '12345'
    ]
    stock = pytest.importorskip('mmpretrain.datasets.categories')
    assert tuple(stock.CIFAR100_CATEGORIES) == CLASSES


def test_every_image_with_its_labels(source, tmp_path):
    out = tmp_path / 'out'
    assert convert_cifar100(source, out) == dict(train=200, test=100)
    for split, count in (('train', 2), ('test', 1)):
        entry = read(out / 'cifar-100-python' / split)
        data, labels = entry['data'], entry['fine_labels']
        assert data.dtype == np.uint8
        assert data.shape == (100 * count, 3072)
        assert labels != sorted(labels)  # shuffled
        assert len(entry['filenames']) == 100 * count
        coarse = [COARSE_OF[CLASSES[label]] for label in labels]
        assert entry['coarse_labels'] == coarse
        images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        found = sorted(
            (label, image.tobytes())
            for label, image in zip(labels, images, strict=True)
        )
        assert found == sorted(
            (label, pixels(split, label, k).tobytes())
            for label in range(100)
            for k in range(count)
        )
    names = read(out / 'cifar-100-python' / 'meta')
    assert names['fine_label_names'] == list(CLASSES)
    assert names['coarse_label_names'] == list(SUPERCLASSES)


def test_repeatable(source, tmp_path):
    for name in 'ab':
        convert_cifar100(source, tmp_path / name)
    files = [
        (tmp_path / name / 'cifar-100-python' / 'train').read_bytes()
        for name in 'ab'
    ]
    assert files[0] == files[1]


def test_the_result_is_read_by_mmkd_and_equals_the_images(source, tmp_path):
    pytest.importorskip('mmpretrain')
    from mmkd.datasets.cifar import CIFAR100

    convert_cifar100(source, tmp_path / 'out')
    options = dict(split='test', check_hash=False, download=False)
    packed = CIFAR100(data_root=str(tmp_path / 'out'), **options)
    images = CIFAR100(data_root=str(source), **options)
    assert (packed.images == images.images).all()
    assert (packed.get_gt_labels() == images.get_gt_labels()).all()
    label = packed.get_gt_labels()[3]
    assert (packed[3]['img'] == pixels('test', label, 0)).all()


def test_the_tool(source, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(source), str(out)])
    runpy.run_path(str(TOOL), run_name='__main__')
    assert 'train: 200 images' in capsys.readouterr().out
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(out), str(out)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert stop.value.code == 1
    assert 'error:' in capsys.readouterr().err


def test_errors(tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match="100 of the 100.*'apple'"):
        convert_cifar100(tmp_path, out)
    for label, name in enumerate(CLASSES):
        save(tmp_path / f'train/{label:02d}_{name}.png', pixels('train', 0, 0))
    save(tmp_path / 'train/00_apple.png', np.zeros((48, 32, 3), np.uint8))
    with pytest.raises(ValueError, match='32x48.*do not resize'):
        convert_cifar100(tmp_path, out)
    (tmp_path / 'train/00_apple.png').unlink()
    (tmp_path / 'train/apple').mkdir()
    with pytest.raises(FileNotFoundError, match='apple holds no image'):
        convert_cifar100(tmp_path, out)
    (tmp_path / 'train/zebra').mkdir()
    with pytest.raises(ValueError, match="'zebra'.*not classes of CIFAR-100"):
        convert_cifar100(tmp_path, out)
    assert not out.exists()


def test_superclasses_of_the_real_data(data_root):
    meta = json.loads((data_root / 'cifar100' / 'meta.json').read_text())
    assert meta['fine_label_names'] == list(CLASSES)
    assert meta['coarse_label_names'] == list(SUPERCLASSES)
    assert meta['fine_to_coarse'] == [COARSE_OF[name] for name in CLASSES]
