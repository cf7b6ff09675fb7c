from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from mmkd.registry import DATASETS
from mmkd.toys import (
    JOINTS,
    OBJECTS,
    SEG_CLASSES,
    TASKS,
    cached_scene,
    toy_batch,
    toy_dataset,
)

pytest.importorskip('mmseg')


@pytest.mark.parametrize('task', TASKS)
def test_samples_carry_index_and_scene(task: str) -> None:
    dataset = DATASETS.build(toy_dataset(task, num_samples=5))
    assert len(dataset) == 5
    for i in range(5):
        info = dataset.get_data_info(i)
        assert info['sample_idx'] == info['scene']['index'] == i
        sample = dataset[i]
        assert sample['data_samples'].metainfo['sample_idx'] == i
        assert sample['inputs'].dtype == torch.uint8


@pytest.mark.parametrize('task', TASKS)
def test_collated_batch_holds_all_samples(task: str) -> None:
    batch = toy_batch(task, num_samples=3)
    assert len(batch['inputs']) == len(batch['data_samples']) == 3


@pytest.mark.parametrize(
    'task',
    [
        pytest.param(task, marks=() if task == 'pose' else pytest.mark.slow)
        for task in TASKS
    ],
)
def test_splits_share_no_scene(task: str) -> None:
    numbers = [
        {
            DATASETS.build(
                toy_dataset(task, num_samples=4, split=split)
            ).get_data_info(i)['scene']['index']
            for i in range(4)
        }
        for split in ('train', 'val', 'test')
    ]
    assert len(set.union(*numbers)) == 12


def test_unknown_split_and_task_are_named() -> None:
    with pytest.raises(ValueError, match="split='dev'"):
        DATASETS.build(toy_dataset('segmentation', split='dev'))
    with pytest.raises(ValueError, match="task='depth'"):
        toy_dataset('depth')


def test_segmentation_is_the_scene() -> None:
    dataset = DATASETS.build(toy_dataset('segmentation'))
    sample = dataset[3]
    scene = cached_scene(**dataset.get_data_info(3)['scene'])
    image = sample['inputs'].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(image, scene.image)
    truth = sample['data_samples'].gt_sem_seg.data[0].numpy()
    np.testing.assert_array_equal(truth, scene.seg_map)
    assert tuple(dataset.metainfo['classes']) == SEG_CLASSES


def test_augmentation_leaves_the_cached_scene_alone() -> None:
    pipeline = [
        dict(type='mmkd.LoadScene'),
        dict(type='mmkd.LoadSceneSegMap'),
        dict(type='RandomFlip', prob=1.0),
        dict(type='PackSegInputs', meta_keys=('flip',)),
    ]
    dataset = DATASETS.build(toy_dataset('segmentation', pipeline=pipeline))
    plain = DATASETS.build(toy_dataset('segmentation'))
    assert torch.equal(dataset[0]['inputs'], plain[0]['inputs'].flip(2))
    assert torch.equal(dataset[0]['inputs'], plain[0]['inputs'].flip(2))


def test_classification_label_is_the_main_object() -> None:
    dataset = DATASETS.build(toy_dataset('classification'))
    labels = [
        cached_scene(**dataset.get_data_info(i)['scene']).label
        for i in range(8)
    ]
    assert [int(dataset[i]['data_samples'].gt_label) for i in range(8)] == (
        labels
    )
    assert dataset.CLASSES == OBJECTS


def test_detection_boxes_are_those_of_the_scene() -> None:
    dataset = DATASETS.build(toy_dataset('detection'))
    truth = dataset[2]['data_samples'].gt_instances
    scene = cached_scene(**dataset.get_data_info(2)['scene'])
    np.testing.assert_array_equal(truth.bboxes.tensor.numpy(), scene.boxes)
    np.testing.assert_array_equal(truth.labels.numpy(), scene.box_labels)


def test_pose_joints_are_those_of_the_main_figure() -> None:
    dataset = DATASETS.build(toy_dataset('pose'))
    for i in range(8):
        info = dataset.get_data_info(i)
        scene = cached_scene(**info['scene'])
        np.testing.assert_array_equal(info['keypoints'][0], scene.keypoints[0])
        np.testing.assert_array_equal(
            info['keypoints_visible'][0] > 0, scene.visibility[0] > 0
        )
        x1, y1, x2, y2 = info['bbox'][0]
        seen = scene.keypoints[0][scene.visibility[0] > 0]
        assert (seen >= (x1, y1)).all()
        assert (seen <= (x2, y2)).all()


def test_pose_flip_pairs_swap_left_and_right() -> None:
    metainfo = DATASETS.build(toy_dataset('pose')).metainfo
    assert metainfo['num_keypoints'] == len(JOINTS)
    for i, j in enumerate(metainfo['flip_indices']):
        swapped = JOINTS[i].replace('left', '#').replace('right', 'left')
        assert JOINTS[j] == swapped.replace('#', 'right')


def test_bottom_up_pose_gives_all_figures_of_a_scene() -> None:
    dataset = DATASETS.build(
        toy_dataset('pose', data_mode='bottomup', num_objects=12, pipeline=[])
    )
    assert len(dataset) == 8
    counts = [len(dataset.get_data_info(i)['keypoints']) for i in range(8)]
    scenes = [dataset.get_data_info(i)['scene'] for i in range(8)]
    assert counts == [len(cached_scene(**s).keypoints) for s in scenes]
    assert max(counts) > 1


def test_importing_the_toys_imports_no_task_repository() -> None:
    code = (
        'import sys, mmkd.toys;'
        'print([m for m in ("mmseg", "mmdet", "mmpose", "mmpretrain")'
        ' if m in sys.modules])'
    )
    out = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == '[]'
