"""Files that cannot be used: the run stops by name, or skips a few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image
from torch.utils.data import DataLoader

for package in ('mmpretrain', 'mmseg', 'mmpose', 'mmdet'):
    pytest.importorskip(package)
from mmkd.datasets.bad_samples import BadSamplePolicy  # noqa: E402
from mmkd.datasets.named_samples import name_samples  # noqa: E402
from mmkd.toys import JOINTS  # noqa: E402
from tests.support.own_data import (  # noqa: E402
    SIZE,
    write_class_folders,
    write_coco,
    write_coco_keypoints,
    write_crops,
    write_masks,
)

NAMES = ('disc', 'box')


def camvid(root: Path) -> tuple[str, Any, Path]:
    write_masks(root, 4)
    (root / 'masks').rename(root / 'annotations')
    config = dict(
        type='mmkd.CamVidDataset',
        data_root=str(root),
        data_prefix=dict(
            img_path='images/train', seg_map_path='annotations/train'
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
    )
    return 'mmseg', config, root / 'images/train/0002.jpg'


def stock_segmentation(root: Path) -> tuple[str, Any, Path]:
    _, config, image = camvid(root)
    config.update(
        type='BaseSegDataset',
        img_suffix='.jpg',
        seg_map_suffix='.png',
        metainfo=dict(classes=('a', 'b', 'c', 'd')),
    )
    return 'mmseg', config, image


def folders(root: Path) -> tuple[str, Any, Path]:
    write_class_folders(root, NAMES)
    config = dict(
        type='CustomDataset',
        data_root=str(root / 'train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
    return 'mmpretrain', config, root / 'train/box/0002.jpg'


def tiny_imagenet(root: Path) -> tuple[str, Any, Path]:
    write_class_folders(root, NAMES)
    (root / 'wnids.txt').write_text('\n'.join(NAMES))
    for name in NAMES:
        (root / 'train' / name).rename(root / 'moved')
        (root / 'train' / name).mkdir()
        (root / 'moved').rename(root / 'train' / name / 'images')
    (root / 'val' / 'val_annotations.txt').write_text('')
    config = dict(
        type='mmkd.TinyImageNet',
        data_root=str(root),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
    return 'mmpretrain', config, root / 'train/box/images/0002.jpg'


POSE = [
    dict(type='LoadImage'),
    dict(type='PackPoseInputs'),
]


def people(root: Path) -> tuple[str, Any, Path]:
    write_coco_keypoints(root, 'person', dict(head=JOINTS[0]))
    config = dict(
        type='mmkd.CocoPersonCropDataset',
        require_keypoints=False,
        metainfo=dict(
            dataset_name='own',
            keypoint_info={
                0: dict(name='head', id=0, color=[0, 0, 0], type='', swap='')
            },
            skeleton_info={},
            joint_weights=[1.0],
            sigmas=[0.1],
        ),
        data_root=str(root),
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/train'),
        pipeline=POSE,
    )
    return 'mmpose', config, root / 'images/train/0002.jpg'


def crops(root: Path) -> tuple[str, Any, Path]:
    write_crops(root)
    config = dict(
        type='mmkd.PersonFolderDataset',
        data_root=str(root),
        data_prefix=dict(img=''),
        pipeline=POSE,
    )
    return 'mmpose', config, root / '0002.jpg'


def boxes(root: Path) -> tuple[str, Any, Path]:
    write_coco(root, NAMES)
    config = dict(
        type='CocoDataset',
        metainfo=dict(classes=NAMES),
        data_root=str(root),
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    )
    return 'mmdet', config, root / 'images/train/0002.jpg'


SETS = (
    camvid, stock_segmentation, folders, tiny_imagenet, people, crops, boxes,
)  # fmt: skip


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def empty(file: Path) -> None:
    file.write_bytes(b'')


def foreign(file: Path) -> None:
    file.write_bytes(b'<html>not found</html>')


def huge(file: Path) -> None:
    """A header of 60000 x 60000 pixels, and little else."""
    file.write_bytes(png_header(60000))


def png_header(side: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + check

    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        chunk(*pair)
        for pair in ((b'IHDR', header), (b'IDAT', pixels), (b'IEND', b''))
    )


BROKEN: dict[Callable, str] = {
    cut: 'cut off or damaged',
    empty: 'empty|cannot be read as an image',
    foreign: 'no image, it begins with|cannot be read as an image',
    huge: 'exceeds limit',
}

FAST = ((camvid, cut), (people, foreign), (crops, huge), (folders, empty))


def built(
    made: tuple[str, Any, Path], policy: BadSamplePolicy, **changes: Any
) -> Any:
    scope, config, _ = made
    with DefaultScope.overwrite_default_scope(scope), policy.applied():
        dataset = DATASETS.build(dict(config, **changes))
    name_samples(dataset, policy)
    return dataset


def read_all(dataset: Any, workers: int = 0) -> list[Any]:
    loader = DataLoader(
        dataset, batch_size=2, num_workers=workers, collate_fn=list
    )
    return [sample for batch in loader for sample in batch]


@pytest.mark.parametrize(
    ('make', 'fault'),
    [
        pytest.param(
            *(make, fault),
            id=f'{make.__name__}-{fault.__name__}',
            marks=() if (make, fault) in FAST else pytest.mark.slow,
        )
        for make in SETS
        for fault in BROKEN
    ],
)
def test_the_run_stops_and_names_the_file(
    tmp_path: Path, make: Callable, fault: Callable
) -> None:
    made = make(tmp_path)
    fault(made[2])
    with pytest.raises(ValueError, match=BROKEN[fault]) as stopped:
        read_all(built(made, BadSamplePolicy()))
    assert made[2].name in str(stopped.value)


@pytest.mark.slow
@pytest.mark.parametrize('make', SETS, ids=lambda f: f.__name__)
def test_missing_files_are_named(tmp_path: Path, make: Callable) -> None:
    made = make(tmp_path)
    dataset = built(made, BadSamplePolicy())
    made[2].unlink()
    with pytest.raises(ValueError, match='FileNotFoundError') as stopped:
        read_all(dataset)
    assert made[2].name in str(stopped.value)


@pytest.mark.parametrize(
    'workers', [0, pytest.param(2, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('make', [camvid, people], ids=lambda f: f.__name__)
def test_a_few_are_skipped_with_workers(
    tmp_path: Path, make: Callable, workers: int
) -> None:
    made = make(tmp_path)
    image = made[2]
    dataset = built(made, BadSamplePolicy(max_skipped=1))
    foreign(image)
    for _ in range(2):  # in the second epoch it is the same one
        found = read_all(dataset, workers)
        assert len(found) == len(dataset)
        paths = [sample['data_samples'].img_path for sample in found]
        assert str(image) not in paths
    empty(image.with_name('0004.jpg'))
    words = r'1 samples of this data set were skipped before, as many as bad'
    with pytest.raises(ValueError, match=words):
        read_all(dataset, workers)
        read_all(dataset, workers)


def test_validation_skips_none(tmp_path: Path) -> None:
    made = camvid(tmp_path)
    dataset = built(made, BadSamplePolicy(max_skipped=5), test_mode=True)
    empty(tmp_path / 'images/train/0002.jpg')
    with pytest.raises(ValueError, match=r'0002\.jpg.*is empty'):
        read_all(dataset)


def test_a_folder_of_crops_skips_when_it_is_listed(tmp_path: Path) -> None:
    made = crops(tmp_path)
    whole = built(made, BadSamplePolicy())
    foreign(tmp_path / '0002.jpg')
    fewer = built(made, BadSamplePolicy(max_skipped=1))
    assert len(fewer) == len(whole) - 1


def grey(path: Path, value: int, size: tuple[int, int] = SIZE) -> None:
    assert cv2.imwrite(str(path), np.full(size, value, np.uint8))


LABELS: dict[str, tuple[Callable[[Path], Any], str]] = dict(
    size=(
        lambda path: grey(path, 1, (32, 32)),
        'it is 32 x 32 pixels, its image 80 x 64',
    ),
    unknown=(lambda path: grey(path, 77), r'has the labels \[77\], but'),
    deep=(
        lambda path: Image.fromarray(np.full(SIZE, 300, np.uint16)).save(path),
        'reach from 300 to 300, and labels are read as 8 bits',
    ),
    colours=(
        lambda path: Image.new('RGB', SIZE[::-1]).save(path),
        'has 3 channels',
    ),
    cut=(cut, 'cut off or damaged'),
    empty=(empty, 'is empty'),
)


@pytest.mark.parametrize('case', LABELS)
@pytest.mark.parametrize(
    'make', [camvid, pytest.param(stock_segmentation, marks=pytest.mark.slow)]
)
def test_label_maps_that_cannot_be_used(
    tmp_path: Path, make: Callable, case: str
) -> None:
    change, words = LABELS[case]
    dataset = built(make(tmp_path), BadSamplePolicy())
    change(tmp_path / 'annotations/train/0002.png')
    with pytest.raises(ValueError, match=words) as stopped:
        read_all(dataset)
    assert '0002.png' in str(stopped.value)


def test_void_and_palette_maps_are_fine(tmp_path: Path) -> None:
    dataset = built(camvid(tmp_path), BadSamplePolicy())
    grey(tmp_path / 'annotations/train/0001.png', 11)  # CamVid's void
    palette = Image.new('P', SIZE[::-1], 3)
    palette.putpalette([7] * 768)
    palette.save(tmp_path / 'annotations/train/0002.png')
    found = read_all(dataset)
    labels = [sample['data_samples'].gt_sem_seg.data for sample in found]
    assert labels[1].unique().tolist() == [255]
    assert labels[2].unique().tolist() == [3]


def test_pictures_of_other_kinds_are_read_as_colours(tmp_path: Path) -> None:
    """CMYK, grey of 16 bits and palettes: (3, H, W) of 8 bits."""
    dataset = built(folders(tmp_path), BadSamplePolicy())
    box = tmp_path / 'train/box'
    colour = Image.new('RGB', SIZE[::-1], (200, 40, 120))
    colour.convert('CMYK').save(box / '0000.jpg', quality=100)
    deep = Image.fromarray(np.full(SIZE, 128 * 257, np.uint16))
    deep.save(box / '0001.jpg', format='PNG')
    colour.convert('P').save(box / '0002.jpg', format='PNG')
    found = {
        Path(sample['data_samples'].img_path).name: sample['inputs']
        for sample in read_all(dataset)
        if 'box' in sample['data_samples'].img_path
    }
    wanted = torch.tensor([120, 40, 200])[:, None, None]  # B, G, R
    for name, colours, most in (
        ('0000.jpg', wanted, 4),
        ('0001.jpg', torch.tensor(128), 1),
        ('0002.jpg', wanted, 50),  # the nearest of the palette
    ):
        image = found[name]
        assert image.shape == (3, *SIZE) and image.dtype == torch.uint8
        assert (image.int() - colours).abs().max() <= most, name


ANNOTATIONS = dict(broken='{"images": [', empty='', no_lists='{}')


@pytest.mark.parametrize('case', ANNOTATIONS)
def test_annotation_files_are_named(tmp_path: Path, case: str) -> None:
    made = people(tmp_path)
    file = tmp_path / 'annotations/train.json'
    file.write_text(ANNOTATIONS[case])
    with pytest.raises(ValueError, match=r'annotations/train\.json'):
        built(made, BadSamplePolicy())


@pytest.mark.parametrize(
    ('given', 'error', 'words'),
    [
        (5, TypeError, r'write bad_samples=dict\(max_skipped=10\)'),
        (dict(max_skiped=1), KeyError, 'max_skiped.*it knows max_skipped'),
        (dict(max_skipped='few'), TypeError, 'set a whole number'),
        (dict(max_skipped=-1), ValueError, 'set 0 or more'),
        (dict(check_files=1), TypeError, 'set True or False'),
    ],
)
def test_policies_that_are_none(
    given: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        BadSamplePolicy.of(given)
