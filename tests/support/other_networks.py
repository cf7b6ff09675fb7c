"""Small networks of other forms than the toys: what users bring."""

from __future__ import annotations

from mmengine import ConfigDict

from mmkd.networks import load_config
from mmkd.toys import toy_classifier, toy_segmentor
from mmkd.toys.shapes import OBJECTS


def _shrunk(name: str, width: int) -> ConfigDict:
    """A detector of mmdetection's base configs, with a narrow ResNet-18."""
    model = load_config(f'mmdet::_base_/models/{name}.py').model
    model._scope_ = 'mmdet'
    model.backbone.update(
        depth=18,
        stem_channels=width,
        base_channels=width,
        frozen_stages=-1,
        init_cfg=None,
        norm_eval=False,
    )
    channels = [width, 2 * width, 4 * width, 8 * width]
    model.neck.update(in_channels=channels, out_channels=8)
    return model


def _few_proposals(model: ConfigDict) -> ConfigDict:
    model.rpn_head.update(in_channels=8, feat_channels=8)
    model.test_cfg.rpn.update(nms_pre=20, max_per_img=10)
    roi = model.roi_head
    boxes = roi.bbox_head
    for head in boxes if isinstance(boxes, list) else [boxes]:
        head.update(
            in_channels=8, fc_out_channels=16, num_classes=len(OBJECTS)
        )
    roi.bbox_roi_extractor.out_channels = 8
    if 'mask_head' in roi:
        roi.mask_roi_extractor.out_channels = 8
        roi.mask_head.update(
            in_channels=8,
            conv_out_channels=8,
            num_convs=1,
            num_classes=len(OBJECTS),
        )
    return model


def faster_rcnn(width: int = 4) -> ConfigDict:
    return _few_proposals(_shrunk('faster-rcnn_r50_fpn', width))


def mask_rcnn(width: int = 4) -> ConfigDict:
    return _few_proposals(_shrunk('mask-rcnn_r50_fpn', width))


def cascade_rcnn(width: int = 4) -> ConfigDict:
    return _few_proposals(_shrunk('cascade-rcnn_r50_fpn', width))


def retinanet(width: int = 4) -> ConfigDict:
    model = _shrunk('retinanet_r50_fpn', width)
    model.bbox_head.update(
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        num_classes=len(OBJECTS),
    )
    return model


def detr(width: int = 4) -> ConfigDict:
    model = load_config('mmdet::detr/detr_r50_8xb2-150e_coco.py').model
    model._scope_ = 'mmdet'
    model.num_queries = 5
    model.backbone.update(
        depth=18,
        stem_channels=width,
        base_channels=width,
        frozen_stages=-1,
        init_cfg=None,
    )
    model.neck.update(in_channels=[8 * width], out_channels=16, num_outs=1)
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
        layer = part.layer_cfg
        layer.ffn_cfg.update(embed_dims=16, feedforward_channels=16)
        for key in ('self_attn_cfg', 'cross_attn_cfg'):
            if key in layer:
                layer[key].update(embed_dims=16, num_heads=2)
    model.positional_encoding.num_feats = 8
    model.bbox_head.update(num_classes=len(OBJECTS), embed_dims=16)
    return model


def vision_transformer(width: int = 4, size: int = 32) -> ConfigDict:
    model = toy_classifier(width)
    model.backbone = dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=8 * width,
            num_layers=1,
            num_heads=2,
            feedforward_channels=16,
        ),
        img_size=size,
        patch_size=8,
    )
    model.neck = None
    model.head = dict(
        type='VisionTransformerClsHead',
        num_classes=model.head.num_classes,
        in_channels=8 * width,
        topk=(1,),
    )
    return model


def mlp_mixer(width: int = 4, size: int = 48) -> ConfigDict:
    """Refuses every other size."""
    model = toy_classifier(width)
    model.backbone = dict(
        type='MlpMixer',
        arch=dict(
            embed_dims=8 * width,
            num_layers=1,
            tokens_mlp_dims=8,
            channels_mlp_dims=8,
        ),
        img_size=size,
        patch_size=8,
    )
    model.neck.dim = 1
    return model


def swin(width: int = 4, size: int = 384) -> ConfigDict:
    """Windows of 12, which do not fit the last map of 224 pixels."""
    model = toy_classifier(width)
    model.backbone = dict(
        type='SwinTransformer',
        arch=dict(
            embed_dims=2 * width, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]
        ),
        img_size=size,
        stage_cfgs=dict(block_cfgs=dict(window_size=12)),
    )
    model.head.in_channels = 16 * width
    return model


def grey_classifier(width: int = 4) -> ConfigDict:
    model = toy_classifier(width)
    model.backbone.in_channels = 1
    model.data_preprocessor.update(mean=[127.5], std=[64.0], to_rgb=False)
    return model


def four_channel_segmentor(width: int = 4) -> ConfigDict:
    model = toy_segmentor(width)
    model.backbone.in_channels = 4
    model.data_preprocessor.update(
        mean=[127.5] * 4, std=[64.0] * 4, bgr_to_rgb=False
    )
    return model


def rtmpose(width: int = 4) -> ConfigDict:
    """Classifies coordinates; takes crops of 96 x 64 pixels alone."""
    codec = dict(
        type='SimCCLabel',
        input_size=(64, 96),
        sigma=(4.9, 5.66),
        simcc_split_ratio=2.0,
        normalize=False,
        use_dark=False,
    )
    return ConfigDict(
        type='TopdownPoseEstimator',
        _scope_='mmpose',
        data_preprocessor=dict(
            type='PoseDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
        ),
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=width,
            base_channels=width,
            out_indices=(3,),
        ),
        head=dict(
            type='RTMCCHead',
            in_channels=8 * width,
            out_channels=5,
            input_size=codec['input_size'],
            in_featuremap_size=(2, 3),
            simcc_split_ratio=codec['simcc_split_ratio'],
            final_layer_kernel_size=3,
            gau_cfg=dict(
                hidden_dims=16,
                s=8,
                expansion_factor=2,
                dropout_rate=0.0,
                drop_path=0.0,
                act_fn='SiLU',
                use_rel_bias=False,
                pos_enc=False,
            ),
            loss=dict(
                type='KLDiscretLoss',
                use_target_weight=True,
                beta=10.0,
                label_softmax=True,
            ),
            decoder=codec,
        ),
        test_cfg=dict(flip_test=False),
    )
