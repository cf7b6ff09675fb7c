"""Synthetic data sets with the stock pipelines of the task repositories."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import pseudo_collate

from mmkd.registry import DATASETS
from mmkd.toys.networks import heatmap_codec

_META = (
    'sample_idx', 'img_id', 'ori_shape', 'img_shape', 'pad_shape',
    'scale_factor', 'flip', 'flip_direction',
)  # fmt: skip
_POSE_META = (
    'id', 'img_id', 'category_id', 'ori_shape', 'img_shape', 'input_size',
    'input_center', 'input_scale', 'flip', 'flip_direction', 'flip_indices',
    'raw_ann_info', 'dataset_name', 'sample_idx',
)  # fmt: skip
_DATASETS: dict[str, tuple[str, str, list[dict[str, Any]]]] = dict(
    classification=(
        'mmkd.SyntheticClsDataset',
        'mmpretrain',
        [
            dict(type='mmkd.LoadScene'),
            dict(type='PackInputs', meta_keys=_META),
        ],
    ),
    segmentation=(
        'mmkd.SyntheticSegDataset',
        'mmseg',
        [
            dict(type='mmkd.LoadScene'),
            dict(type='mmkd.LoadSceneSegMap'),
            dict(type='PackSegInputs', meta_keys=_META),
        ],
    ),
    pose=(
        'mmkd.SyntheticPoseDataset',
        'mmpose',
        [
            dict(type='mmkd.LoadScene'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(64, 64)),
            dict(type='GenerateTarget', encoder=heatmap_codec((64, 64))),
            dict(type='PackPoseInputs', meta_keys=_POSE_META),
        ],
    ),
    detection=(
        'mmkd.SyntheticDetDataset',
        'mmdet',
        [
            dict(type='mmkd.LoadScene'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale_factor=1.0),
            dict(type='PackDetInputs', meta_keys=_META),
        ],
    ),
)
TASKS = tuple(_DATASETS)


def toy_dataset(
    task: str,
    num_samples: int = 8,
    size: tuple[int, int] = (64, 64),
    split: str = 'train',
    **kwargs: Any,
) -> dict[str, Any]:
    """Configuration of the synthetic data set of a task, builds anywhere.

    Args:
        task: 'classification', 'segmentation', 'pose' or 'detection'.
        num_samples: number of scenes.
        size: (height, width) in pixels.
        split: 'train', 'val' or 'test'.
        kwargs: further arguments of the data set; ``pipeline`` replaces the
            one given here, which loads and packs without augmentation.

    Raises:
        ValueError: unknown task.
    """
    if task not in _DATASETS:
        raise ValueError(
            f'toy_dataset: task={task!r} is unknown; use one of {TASKS}'
        )
    name, scope, pipeline = _DATASETS[task]
    config = dict(
        type=name,
        _scope_=scope,
        num_samples=num_samples,
        size=size,
        split=split,
        pipeline=[dict(step) for step in pipeline],
    )
    config.update(kwargs)
    return config


def toy_batch(
    task: str,
    num_samples: int = 2,
    size: tuple[int, int] = (64, 64),
    **kwargs: Any,
) -> dict[str, Any]:
    """The first samples of :func:`toy_dataset`, collated.

    The result is what a data loader gives: pass it to the network's
    ``data_preprocessor`` or to ``train_step`` / ``test_step``.
    """
    dataset = DATASETS.build(toy_dataset(task, num_samples, size, **kwargs))
    return pseudo_collate([dataset[i] for i in range(len(dataset))])
