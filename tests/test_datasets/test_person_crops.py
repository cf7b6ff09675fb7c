"""People of annotation files and folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmpose')
from mmengine.dataset import pseudo_collate  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.registry import DATASETS  # noqa: E402

JOINTS = [5, 5, 2] * 17


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def annotation(number, box=(2, 2, 20, 24), **entries):
    return dict(
        id=number, image_id=1, category_id=1, iscrowd=0, bbox=list(box),
        area=10, **entries,
    )  # fmt: skip


@pytest.fixture
def build(tmp_path):
    """Build a data set of one image with the annotations given."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
    (tmp_path / 'images').mkdir()
    Image.fromarray(pixels).save(tmp_path / 'images' / 'one.png')

    def run(annotations, categories=('person',), **arguments):
        image = dict(id=1, file_name='one.png', width=40, height=48)
        content = dict(
            images=[image],
            annotations=annotations,
            categories=[
                dict(id=i, name=name) for i, name in enumerate(categories, 1)
            ],
        )
        (tmp_path / 'people.json').write_text(json.dumps(content))
        return DATASETS.build(
            dict(
                type='mmkd.CocoPersonCropDataset',
                data_root=str(tmp_path),
                ann_file='people.json',
                data_prefix=dict(img='images/'),
                **arguments,
            )
        )

    return run


PEOPLE = [
    annotation(1, keypoints=JOINTS, num_keypoints=17),
    annotation(2, keypoints=[0] * 51, num_keypoints=0),
    annotation(3),
    annotation(4, box=(2, 2, 20, 3), keypoints=JOINTS, num_keypoints=17),
    annotation(5, box=(2, 2, 0, 9)),
    dict(annotation(6), iscrowd=1),
    dict(annotation(7), category_id=2),
]


def ids(dataset):
    return [dataset.get_data_info(i)['id'] for i in range(len(dataset))]


def test_people_of_fine_tuning(build):
    assert ids(build(PEOPLE)) == [1, 4]


def test_all_boxes(build):
    dataset = build(PEOPLE, require_keypoints=False)
    assert ids(dataset) == [1, 2, 3, 4, 7]
    info = dataset.get_data_info(2)
    assert info['keypoints'].shape == (1, 17, 2)
    assert info['keypoints_visible'].max() == 0
    assert 'raw_ann_info' not in info


def test_only_people_of_many_categories(build):
    dataset = build(PEOPLE, ('person', 'dog'), require_keypoints=False)
    assert ids(dataset) == [1, 2, 3, 4]


def test_small_boxes(build):
    dataset = build(PEOPLE, require_keypoints=False, min_box_side=4)
    assert ids(dataset) == [1, 2, 3, 7]


def test_pipeline_gives_puzzles(build):
    codec = dict(
        type='JigsawHeatmap',
        input_size=(24, 32),
        heatmap_size=(6, 8),
        sigma=1,
        grid_size=(2, 2),
    )
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', prob=1.0),
        dict(type='TopdownAffine', input_size=(24, 32)),
        dict(type='mmkd.JigsawShuffle', grid_size=(2, 2), deterministic=True),
        dict(type='GenerateTarget', encoder=codec),
        dict(
            type='PackPoseInputs',
            meta_keys=('id', 'jigsaw_permutation', 'flip_indices'),
        ),
    ]
    dataset = build(PEOPLE, require_keypoints=False, pipeline=pipeline)
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    for image, sample in zip(
        batch['inputs'], batch['data_samples'], strict=True
    ):
        assert image.shape == (3, 32, 24)
        assert sample.gt_fields.heatmaps.shape == (4, 8, 6)
        assert sample.gt_instance_labels.keypoint_weights.tolist() == [[1] * 4]
        assert sorted(sample.jigsaw_permutation) == [0, 1, 2, 3]


def test_files_without_key_points(build):
    with pytest.raises(ValueError, match='set require_keypoints=False'):
        build([annotation(3)])


def test_other_joints_need_metainfo(build):
    people = [annotation(1, keypoints=[5, 5, 2] * 14, num_keypoints=14)]
    words = r"42 key-point numbers, 3 x 17 .* metainfo 'coco'"
    with pytest.raises(ValueError, match=words):
        build(people)
    aic = dict(from_file='configs/_base_/datasets/aic.py')
    dataset = build(people, metainfo=aic)
    assert dataset.get_data_info(0)['keypoints'].shape == (1, 14, 2)


def test_missing_file(build):
    with pytest.raises(FileNotFoundError, match='set data_root and ann_file'):
        DATASETS.build(
            dict(type='mmkd.CocoPersonCropDataset', ann_file='no.json')
        )


def folder(path, **arguments):
    return DATASETS.build(
        dict(
            type='mmkd.PersonFolderDataset',
            data_root=str(path),
            pipeline=[dict(type='LoadImage')],
            **arguments,
        )
    )


def test_folder_of_images(tmp_path):
    (tmp_path / 'more').mkdir()
    for name, size in (('b.JPG', (20, 30)), ('more/a.png', (8, 40))):
        Image.new('RGB', size).save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no image')
    dataset = folder(tmp_path)
    assert [one['img'].shape[:2] for one in dataset] == [(30, 20), (40, 8)]
    assert dataset[0]['bbox'].tolist() == [[0, 0, 20, 30]]
    assert dataset[0]['keypoints'].shape == (1, 17, 2)
    assert len(folder(tmp_path, min_box_side=9)) == 1
    only = folder(tmp_path, data_prefix=dict(img='more'))
    assert [one['id'] for one in only] == [0]


def test_folder_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match='no image'):
        folder(tmp_path / 'nowhere')
    (tmp_path / 'a.png').write_text('broken')
    with pytest.raises(ValueError, match=r'a\.png.* cannot be read'):
        folder(tmp_path)
    Image.new('RGB', (5, 5)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='min_box_side=6'):
        folder(tmp_path, min_box_side=6)
