"""Plain pipelines of the four tasks, in the sizes of the student."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmkd.apis.code import Name
from mmkd.apis.data.coco import has_masks
from mmkd.apis.data.folder import FolderData
from mmkd.apis.named import Named
from mmkd.apis.recipe import first_step, test_step

_NO_EVALUATION = 'no images for validation: the run is not evaluated'
Steps = list[dict[str, Any]]


@dataclass
class Reading:
    """How images become batches, and how the network is judged.

    Args:
        settings: variables of the config, in their order.
        train, val: pipelines.
        evaluator: of validation.
        options: changes to the student, ``model.…`` -> value.
        notes: what was chosen.
    """

    settings: dict[str, Any]
    train: Steps
    val: Steps
    evaluator: Any
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def reading(student: Named, data: FolderData) -> Reading:
    """Return the pipelines for a student and a folder."""
    makers = dict(
        classification=_classification,
        segmentation=_segmentation,
        pose=_pose,
        detection=_detection,
    )
    return makers[data.task](student, data)


def _classification(student: Named, data: FolderData) -> Reading:
    size = _crop_of(student.run, 'RandomResizedCrop', 'scale') or _crop_of(
        student.run, 'RandomCrop', 'crop_size'
    )
    backbone = student.model.get('backbone') or {}
    size = size or _number(backbone.get('img_size')) or 224
    shown = Name('size')
    flip = dict(type='RandomFlip', prob=0.5, direction='horizontal')
    load, pack = dict(type='LoadImageFromFile'), dict(type='PackInputs')
    train: Steps = [dict(type='RandomResizedCrop', scale=shown)]
    val: Steps = [
        dict(type='ResizeEdge', scale=math.ceil(size * 8 / 7), edge='short'),
        dict(type='CenterCrop', crop_size=shown),
    ]
    if size <= 64:  # networks for small images see them whole
        train = [
            dict(type='Resize', scale=shown),
            dict(type='RandomCrop', crop_size=shown, padding=size // 8),
        ]
        val = [dict(type='Resize', scale=shown)]
    topk = (1, 5) if len(data.classes) > 10 else (1,)
    return Reading(
        dict(size=size),
        [load, *train, flip, pack],
        [load, *val, pack],
        dict(type='Accuracy', topk=topk),
        notes=[f'images of {size} x {size}, as in its config'],
    )


def _crop_of(run: Config, name: str, key: str) -> int | None:
    step = first_step(run, name)
    return _number(step.get(key)) if step else None


def _number(value: Any) -> int | None:
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value if isinstance(value, int) and value > 0 else None


def _segmentation(student: Named, data: FolderData) -> Reading:
    preprocessor = student.model.get('data_preprocessor') or {}
    given = first_step(student.run, 'RandomCrop') or {}
    crop = preprocessor.get('size') or given.get('crop_size') or (512, 512)
    crop = (crop, crop) if isinstance(crop, int) else tuple(crop)
    width, height = data.size or (crop[1], crop[0])
    fixed = 'img_size' in (student.model.get('backbone') or {})
    fixed |= (student.model.get('test_cfg') or {}).get('mode') == 'slide'
    notes = [f'crops of {crop[0]} x {crop[1]}, as in its config']
    if not fixed and (height < crop[0] or width < crop[1]):
        crop = tuple(
            min(own, 32 * math.ceil(side / 32))
            for own, side in zip(crop, (height, width), strict=True)
        )
        notes = [
            f'crops of {crop[0]} x {crop[1]}: the images are {height} x '
            f'{width}'
        ]
    scale = (width, height)
    options = {}
    if preprocessor.get('size') not in (None, crop):
        options['model.data_preprocessor.size'] = crop
    load = dict(type='LoadImageFromFile')
    labels, pack = dict(type='LoadAnnotations'), dict(type='PackSegInputs')
    return Reading(
        dict(scale=scale, crop_size=crop),
        [
            load,
            labels,
            dict(
                type='RandomResize',
                scale=Name('scale'),
                ratio_range=(0.5, 2.0),
                keep_ratio=True,
            ),
            dict(
                type='RandomCrop',
                crop_size=Name('crop_size'),
                cat_max_ratio=0.75,
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            pack,
        ],
        [
            load,
            dict(type='Resize', scale=Name('scale'), keep_ratio=True),
            labels,
            pack,
        ],
        dict(type='IoUMetric', iou_metrics=['mIoU']),
        options,
        notes,
    )


def _pose(student: Named, data: FolderData) -> Reading:
    target = first_step(student.run, 'GenerateTarget')
    affine = first_step(student.run, 'TopdownAffine')
    if target is None or affine is None:
        raise ValueError(
            f'student="{student.given}": its pipeline has no TopdownAffine '
            'and GenerateTarget, so it is no top-down network; give one that '
            'is, or data= as the config of a data set'
        )
    size = tuple(affine['input_size'])
    codec = target['encoder']
    affine['input_size'], target['encoder'] = Name('input_size'), Name('codec')
    load, box = dict(type='LoadImage'), dict(type='GetBBoxCenterScale')
    pack = dict(type='PackPoseInputs')
    evaluator: Any = None
    if 'val' in data.datasets:
        file = data.datasets['val']['ann_file']
        evaluator = dict(
            type='CocoMetric', ann_file=Name(f"f'{{root}}/{file}'")
        )
    return Reading(
        dict(input_size=size, codec=codec),
        [
            load,
            box,
            dict(type='RandomFlip', direction='horizontal'),
            dict(type='RandomBBoxTransform'),
            affine,
            target,
            pack,
        ],
        [load, box, affine, pack],
        evaluator,
        notes=[f'crops of {size[0]} x {size[1]}, as in its config'],
    )


def _detection(student: Named, data: FolderData) -> Reading:
    resize = test_step(student.run, 'Resize') or {}
    scale = tuple(resize.get('scale') or (1333, 800))
    keep = bool(resize.get('keep_ratio', True))
    step = dict(type='Resize', scale=Name('scale'), keep_ratio=keep)
    load = dict(type='LoadImageFromFile')
    labels = dict(type='LoadAnnotations', with_bbox=True)
    metric: Any = 'bbox'
    if _with_masks(student):
        if not has_masks(data.root):
            raise ValueError(
                f'student="{student.given}" learns masks, but the '
                f'annotations of data="{data.root}" have no "segmentation": '
                'give a student for boxes alone, or add the masks'
            )
        labels['with_mask'] = True
        metric = ['bbox', 'segm']
    pad = test_step(student.run, 'Pad')
    pads = [pad] if pad is not None and pad.get('size') else []
    evaluator: Any = None
    if 'val' in data.datasets:
        file = data.datasets['val']['ann_file']
        evaluator = dict(
            type='CocoMetric',
            ann_file=Name(f"f'{{root}}/{file}'"),
            metric=metric,
        )
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    return Reading(
        dict(scale=scale),
        [
            load,
            labels,
            step,
            *pads,
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ],
        [
            load,
            step,
            *pads,
            labels,
            dict(type='PackDetInputs', meta_keys=keys),
        ],
        evaluator,
        notes=[f'images within {scale[0]} x {scale[1]}, as in its config'],
    )


def _with_masks(student: Named) -> bool:
    model = student.model
    return any(
        (model.get(key) or {}).get('mask_head') for key in ('roi_head',)
    ) or bool(model.get('mask_head'))
