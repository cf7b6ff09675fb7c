"""A folder, a student and a trained-looking teacher of each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.toys import (
    toy_classifier,
    toy_dataset,
    toy_detector,
    toy_pose_estimator,
    toy_segmentor,
)
from tests.support import own_data

JOINTS = dict(
    nose='head_top', left_ear='left_wrist', right_ear='right_wrist',
    tail='neck',
)  # fmt: skip
BIRDS = ['finch', 'heron', 'owl']
#: task -> (repository, network of that width for the folder, writes it)
TASKS: dict[str, tuple[str, Callable[..., Any], Callable[[Path], None]]] = {
    'classification': (
        'mmpretrain',
        lambda width: toy_classifier(width, num_classes=3),
        lambda root: own_data.write_class_folders(root, BIRDS),
    ),
    'segmentation': (
        'mmseg',
        lambda width: toy_segmentor(width, num_classes=3),
        lambda root: own_data.write_masks(root, 3),
    ),
    'pose': (
        'mmpose',
        lambda width: toy_pose_estimator(width, num_joints=4),
        lambda root: own_data.write_coco_keypoints(root, 'mouse', JOINTS),
    ),
    'detection': (
        'mmdet',
        lambda width: toy_detector(width, num_classes=2),
        lambda root: own_data.write_coco(root, ['apple', 'pear']),
    ),
}


@dataclass
class Pair:
    """Files of a pair.

    Args:
        task: what the networks do.
        student, teacher: paths of configs.
        weights: of the teacher.
        data: folder.
        out: folder to write to.
    """

    task: str
    student: Path
    teacher: Path
    weights: Path
    data: Path
    out: Path


def write_config(path: Path, task: str, model: Any) -> None:
    """Write the config of a run on toy data."""
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=toy_dataset(task, 4),
    )
    Config(
        dict(
            default_scope=TASKS[task][0],
            model=model,
            train_dataloader=loader,
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
            ),
            train_cfg=dict(by_epoch=True, max_epochs=10),
        )
    ).dump(path)


def write_pair(
    folder: Path,
    task: str,
    student: Any = None,
    teacher: Any = None,
    data: bool = True,
) -> Pair:
    """Write configs, random weights of the teacher, and the folder."""
    _, network, write_data = TASKS[task]
    pair = Pair(
        task,
        folder / f'student_{task}.py',
        folder / f'teacher_{task}.py',
        folder / f'teacher_{task}.pth',
        folder / f'data_{task}',
        folder / f'out_{task}',
    )
    teacher = network(8) if teacher is None else teacher
    write_config(
        pair.student, task, network(4) if student is None else student
    )
    write_config(pair.teacher, task, teacher)
    torch.manual_seed(1)
    state = build_network(teacher).state_dict()
    torch.save(dict(state_dict=state), pair.weights)
    if data:
        write_data(pair.data)
    return pair
