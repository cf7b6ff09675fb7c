"""Configurations of small networks that train on a CPU in milliseconds.

Each function returns a fresh dictionary that carries its own ``_scope_``,
so that it builds under any default scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine import ConfigDict

from mmkd.toys.shapes import JOINTS, OBJECTS

_PIXELS = dict(mean=[127.5, 127.5, 127.5], std=[64.0, 64.0, 64.0])


def _resnet(width: int, **kwargs: Any) -> dict[str, Any]:
    return dict(
        type='ResNet',
        depth=18,
        stem_channels=width,
        base_channels=width,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        **kwargs,
    )


def toy_classifier(
    width: int = 8, num_classes: int = len(OBJECTS)
) -> dict[str, Any]:
    """mmpretrain ``ImageClassifier``: ResNet-18, linear head.

    Args:
        width: channels of the first stage; the last has 8 times as many.
        num_classes: classes K of the head.
    """
    return ConfigDict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        data_preprocessor=dict(
            type='ClsDataPreprocessor',
            num_classes=num_classes,
            to_rgb=True,
            **_PIXELS,
        ),
        backbone=_resnet(width, num_stages=4, out_indices=(3,)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=num_classes,
            in_channels=8 * width,
            loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
            topk=(1,),
        ),
    )


def toy_segmentor(
    width: int = 8, num_classes: int = len(OBJECTS) + 1
) -> dict[str, Any]:
    """mmsegmentation ``EncoderDecoder``: ResNet-18, atrous pyramid head.

    Output stride 8; the head has ``2 * width`` channels.

    Args:
        width: channels of the first stage.
        num_classes: classes K of the head.
    """
    return ConfigDict(
        type='EncoderDecoder',
        _scope_='mmseg',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size_divisor=8,
            test_cfg=dict(size_divisor=8),
            **_PIXELS,
        ),
        backbone=_resnet(
            width,
            num_stages=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            contract_dilation=True,
            out_indices=(0, 1, 2, 3),
        ),
        decode_head=dict(
            type='ASPPHead',
            in_channels=8 * width,
            in_index=3,
            channels=2 * width,
            dilations=(1, 2, 4, 6),
            dropout_ratio=0.1,
            num_classes=num_classes,
            norm_cfg=dict(type='BN', requires_grad=True),
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss',
                use_sigmoid=False,
                loss_weight=1.0,
                avg_non_ignore=True,
            ),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


def toy_pose_estimator(
    width: int = 8,
    num_joints: int = len(JOINTS),
    input_size: tuple[int, int] = (64, 64),
) -> dict[str, Any]:
    """mmpose ``TopdownPoseEstimator``: ResNet-18, heat maps of stride 4.

    Args:
        width: channels of the first stage.
        num_joints: heat maps of the head.
        input_size: (width, height) of the crops in pixels.
    """
    return ConfigDict(
        type='TopdownPoseEstimator',
        _scope_='mmpose',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', bgr_to_rgb=True, **_PIXELS
        ),
        backbone=_resnet(width, num_stages=4, out_indices=(3,)),
        head=dict(
            type='HeatmapHead',
            in_channels=8 * width,
            out_channels=num_joints,
            deconv_out_channels=(2 * width,) * 3,
            deconv_kernel_sizes=(4, 4, 4),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=heatmap_codec(input_size),
        ),
        test_cfg=dict(flip_test=False),
    )


def heatmap_codec(input_size: tuple[int, int] = (64, 64)) -> dict[str, Any]:
    """Codec of the toy pose estimator, for its pipeline too."""
    width, height = input_size
    return dict(
        type='MSRAHeatmap',
        input_size=(width, height),
        heatmap_size=(width // 4, height // 4),
        sigma=1.5,
    )


def toy_detector(
    width: int = 8, num_classes: int = len(OBJECTS)
) -> dict[str, Any]:
    """mmdetection ``FCOS``: ResNet-18, feature pyramid of three levels.

    Args:
        width: channels of the first stage; the pyramid has twice as many.
        num_classes: classes K of the head.
    """
    return ConfigDict(
        type='FCOS',
        _scope_='mmdet',
        data_preprocessor=dict(
            type='DetDataPreprocessor',
            bgr_to_rgb=True,
            pad_size_divisor=32,
            **_PIXELS,
        ),
        backbone=_resnet(width, num_stages=4, out_indices=(1, 2, 3)),
        neck=dict(
            type='FPN',
            in_channels=[2 * width, 4 * width, 8 * width],
            out_channels=2 * width,
            num_outs=3,
        ),
        bbox_head=dict(
            type='FCOSHead',
            num_classes=num_classes,
            in_channels=2 * width,
            feat_channels=2 * width,
            stacked_convs=1,
            strides=[8, 16, 32],
            regress_ranges=((-1, 32), (32, 64), (64, 1e8)),
            norm_on_bbox=True,
            centerness_on_reg=True,
            center_sampling=True,
            norm_cfg=dict(type='GN', num_groups=2, requires_grad=True),
            loss_cls=dict(
                type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25
            ),
            loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
            loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True),
        ),
        train_cfg=None,
        test_cfg=dict(
            nms_pre=100,
            min_bbox_size=0,
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=20,
        ),
    )


def toy_network(task: str, width: int = 8) -> ConfigDict:
    """The toy network of 'classification', 'segmentation', 'pose' or
    'detection'."""
    functions: dict[str, Callable[..., ConfigDict]] = dict(
        classification=toy_classifier,
        segmentation=toy_segmentor,
        pose=toy_pose_estimator,
        detection=toy_detector,
    )
    if task not in functions:
        raise ValueError(
            f'toy_network: task={task!r} is unknown; use one of '
            f'{tuple(functions)}'
        )
    return functions[task](width=width)
