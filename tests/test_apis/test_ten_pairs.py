"""Ten unlike pairs per task: the config is written and rehearsed."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd.apis import distill
from tests.support.toy_pairs import TASKS

pytestmark = pytest.mark.slow

COCO = 'body_2d_keypoint/topdown_heatmap/coco/td-hm_'
#: task -> (student, teacher, the method that auto takes)
PAIRS = dict(
    classification=[
        ('resnet/resnet18_8xb32_in1k', 'resnet/resnet50_8xb32_in1k'),
        ('mobilenet_v2/mobilenet-v2_8xb32_in1k', 'vgg/vgg11_8xb32_in1k'),
        (
            'shufflenet_v2/shufflenet-v2-1x_16xb64_in1k',
            'swin_transformer/swin-tiny_16xb64_in1k',
        ),
        (
            'vision_transformer/vit-base-p16_64xb64_in1k',
            'deit/deit-tiny_4xb256_in1k',
        ),
        (
            'mobilenet_v3/mobilenet-v3-small_8xb128_in1k',
            'convnext/convnext-tiny_32xb128_in1k',
        ),
        (
            'efficientnet/efficientnet-b0_8xb32_in1k',
            'regnet/regnetx-400mf_8xb128_in1k',
        ),
        (
            'poolformer/poolformer-s12_32xb128_in1k',
            'resnext/resnext50-32x4d_8xb32_in1k',
        ),
        ('resnet/resnet18_8xb16_cifar10', 'resnet/resnet34_8xb16_cifar10'),
        (
            'mobilevit/mobilevit-xxsmall_8xb128_in1k',
            'densenet/densenet121_4xb256_in1k',
        ),
        (
            'repvgg/repvgg-A0_8xb32_in1k',
            'tinyvit/tinyvit-5m-distill_8xb256_in1k',
        ),
    ],
    segmentation=[
        (
            'pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024',
            'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        ),
        (
            'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
            'deeplabv3/deeplabv3_r50-d8_4xb4-80k_ade20k-512x512',
        ),
        (
            'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024',
            'ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024',
        ),
        (
            'mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024',
            'upernet/upernet_r50_4xb2-40k_cityscapes-512x1024',
        ),
        (
            'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024',
            'hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024',
        ),
        (
            'stdc/stdc1_4xb12-80k_cityscapes-512x1024',
            'mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024',
        ),
        (
            'erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024',
            'danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024',
        ),
        (
            'unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024',
            'sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024',
        ),
        (
            'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes',
            'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024',
        ),
        (
            'poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512',
            'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
        ),
    ],
    pose=[
        (
            f'{COCO}mobilenetv2_8xb64-210e_coco-256x192',
            f'{COCO}res50_8xb64-210e_coco-256x192',
        ),
        (
            f'{COCO}shufflenetv2_8xb64-210e_coco-256x192',
            f'{COCO}hrnet-w32_8xb64-210e_coco-256x192',
        ),
        (
            f'{COCO}litehrnet-18_8xb64-210e_coco-256x192',
            f'{COCO}hourglass52_8xb32-210e_coco-256x256',
        ),
        (
            f'{COCO}vgg16-bn_8xb64-210e_coco-256x192',
            f'{COCO}resnext50_8xb64-210e_coco-256x192',
        ),
        (
            'body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192',
            'body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192',
        ),
        (
            'body_2d_keypoint/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192',
            'body_2d_keypoint/simcc/coco/simcc_res50_8xb64-210e_coco-256x192',
        ),
        (
            'body_2d_keypoint/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192',
            f'{COCO}res50_8xb64-210e_coco-256x192',
        ),
        (
            f'{COCO}res50_8xb64-210e_coco-256x192',
            f'{COCO}hrnet-w32_udp-8xb64-210e_coco-256x192',
        ),
        (
            f'{COCO}seresnet50_8xb64-210e_coco-256x192',
            f'{COCO}ViTPose-small_8xb64-210e_coco-256x192',
        ),
        (
            f'{COCO}shufflenetv1_8xb64-210e_coco-256x192',
            'animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_res50_8xb64-210e_ap10k-256x256',
        ),
    ],
    detection=[
        (
            'retinanet/retinanet_r18_fpn_1x_coco',
            'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
        ),
        (
            'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
            'atss/atss_r50_fpn_1x_coco',
        ),
        ('yolox/yolox_tiny_8xb8-300e_coco', 'yolox/yolox_s_8xb8-300e_coco'),
        (
            'rtmdet/rtmdet_tiny_8xb32-300e_coco',
            'retinanet/retinanet_r50_fpn_1x_coco',
        ),
        (
            'ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco',
            'gfl/gfl_r50_fpn_1x_coco',
        ),
        (
            'centernet/centernet_r18_8xb16-crop512-140e_coco',
            'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
        ),
        (
            'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
            'retinanet/retinanet_r50_fpn_1x_coco',
        ),
        (
            'yolo/yolov3_mobilenetv2_8xb24-320-300e_coco',
            'yolo/yolov3_d53_8xb8-320-273e_coco',
        ),
        (
            'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco',
            'tood/tood_r50_fpn_1x_coco',
        ),
        ('yolof/yolof_r50-c5_8xb8-1x_coco', 'detr/detr_r50_8xb2-150e_coco'),
    ],
)  # fmt: skip
CASES = [
    pytest.param(task, *pair, id=f'{task}-{number}')
    for task, pairs in PAIRS.items()
    for number, pair in enumerate(pairs)
]


@pytest.mark.parametrize(('task', 'student', 'teacher'), CASES)
def test_unlike_pairs(
    task: str, student: str, teacher: str, tmp_path: Path
) -> None:
    scope, _, write_data = TASKS[task]
    pytest.importorskip(scope)
    write_data(tmp_path / 'data')
    path = distill(
        f'{scope}::{student}.py',
        (f'{scope}::{teacher}.py', 'https://example.org/weights.pth'),
        tmp_path / 'data',
        out=tmp_path / 'out',
        run=False,
    )
    config = Config.fromfile(path)
    assert config.model.losses
    assert config.train_dataloader.dataset.data_root.endswith('data')
    options = config.model.student.cfg_options
    assert set(options.values()) & {3, 4, 2}, options
