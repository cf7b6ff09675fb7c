"""CamVidDataset on real and on missing data."""

from __future__ import annotations

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

pytest.importorskip('mmseg')
from mmkd.datasets.camvid import CamVidDataset  # noqa: E402

LOADING = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def make(root, split='train', **kwargs):
    prefix = dict(
        img_path=f'images/{split}', seg_map_path=f'annotations/{split}'
    )
    return CamVidDataset(data_root=str(root), data_prefix=prefix, **kwargs)


def write(root, name='a', suffix='.png', label=True, split='train'):
    array = np.array([[0, 5, 10, 11]] * 2, dtype=np.uint8)
    image = root / 'images' / split / f'{name}{suffix}'
    target = root / 'annotations' / split / f'{name}.png'
    for path in (image, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([array] * 3, -1)).save(image)
    if label:
        Image.fromarray(array).save(target)


@pytest.mark.parametrize(
    ('split', 'count'), [('train', 367), ('val', 101), ('test', 233)]
)
def test_real_splits(data_root, split, count):
    dataset = make(data_root / 'camvid', split, pipeline=LOADING)
    assert len(dataset) == count
    assert len(dataset.metainfo['classes']) == 11
    assert len(dataset.metainfo['palette']) == 11
    for index in range(0, count, 100):
        sample = dataset[index]
        path = dataset.get_data_info(index)['seg_map_path']
        raw = np.asarray(Image.open(path))
        assert sample['img'].shape == (360, 480, 3)
        assert (sample['gt_seg_map'] == np.where(raw == 11, 255, raw)).all()


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_suffix_is_found_and_void_becomes_255(tmp_path, suffix):
    write(tmp_path, suffix=suffix)
    dataset = make(tmp_path, pipeline=LOADING)
    assert dataset[0]['gt_seg_map'].tolist() == [[0, 5, 10, 255]] * 2
    assert dataset[0]['img_path'].endswith(f'a{suffix}')


def test_selected_classes(tmp_path):
    write(tmp_path)
    classes = ('tree', 'sky')
    dataset = make(tmp_path, pipeline=LOADING, metainfo=dict(classes=classes))
    assert dataset[0]['gt_seg_map'].tolist() == [[1, 0, 255, 255]] * 2
    assert dataset.metainfo['palette'] == [[128, 128, 0], [128, 128, 128]]


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        make(tmp_path / 'nowhere')
    message = str(error.value)
    for part in ('nowhere', 'data_prefix', 'images/{train,val,test}'):
        assert part in message
    assert 'tools/dataset_converters/camvid.py' in message


def test_folder_without_images(tmp_path):
    write(tmp_path)
    (tmp_path / 'images/train/a.png').unlink()
    with pytest.raises(FileNotFoundError, match='no .png or .jpg image'):
        make(tmp_path)


def test_image_without_label(tmp_path):
    write(tmp_path)
    write(tmp_path, 'b', label=False)
    with pytest.raises(FileNotFoundError, match='1 of 2 images .*b.png'):
        make(tmp_path)


def test_mixed_suffixes(tmp_path):
    write(tmp_path)
    write(tmp_path, 'b', '.jpg')
    with pytest.raises(ValueError, match="img_suffix='.png'"):
        make(tmp_path)
    assert len(make(tmp_path, img_suffix='.jpg')) == 1


def test_label_without_image(tmp_path):
    write(tmp_path, 'a')
    write(tmp_path, 'b')
    (tmp_path / 'images' / 'train' / 'b.png').unlink()
    words = r"1 labels in .* have no image \.png .* the first is 'b\.png'"
    with pytest.raises(FileNotFoundError, match=words):
        make(tmp_path)
    names = tmp_path / 'some.txt'
    names.write_text('a\n')
    assert len(make(tmp_path, ann_file=str(names))) == 1
