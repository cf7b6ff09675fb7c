"""Networks of mmsegmentation of many forms, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine import ConfigDict

from mmkd.networks import load_config
from mmkd.toys import toy_segmentor

CLASSES = 8
SIZE = 64  # of the images


def base(name: str) -> ConfigDict:
    """A base model of mmsegmentation, on one device and without weights."""
    path = name if '/' in name else f'_base_/models/{name}'
    model = load_config(f'mmseg::{path}.py').model
    model = _plain(model)
    model._scope_ = 'mmseg'
    model.data_preprocessor = toy_segmentor().data_preprocessor
    model.test_cfg = dict(mode='whole')
    return model


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get('type') == 'SyncBN':
            value['type'] = 'BN'
        for key in list(value):
            if key in ('pretrained', 'init_cfg', 'checkpoint_file'):
                value[key] = None
            elif key == 'num_classes':
                value[key] = CLASSES
            elif key in ('sampler', 'class_weight'):
                value[key] = None
            else:
                value[key] = _plain(value[key])
    elif isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value


def fcn() -> ConfigDict:
    model = base('fcn_r50-d8')
    model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    model.decode_head.update(in_channels=64, channels=16)
    model.auxiliary_head.update(in_channels=32, channels=8)
    return model


def deeplabv3plus() -> ConfigDict:
    model = base('deeplabv3plus_r50-d8')
    model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    model.decode_head.update(
        in_channels=64, channels=16, c1_in_channels=8, c1_channels=6
    )
    model.auxiliary_head.update(in_channels=32, channels=8)
    return model


def upernet_swin() -> ConfigDict:
    model = base('upernet_swin')
    model.backbone.update(
        embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]
    )
    model.decode_head.update(in_channels=[12, 24, 48, 96], channels=16)
    model.auxiliary_head.update(in_channels=48, channels=8)
    return model


def segformer() -> ConfigDict:
    model = base('segformer_mit-b0')
    model.backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
    model.decode_head.update(in_channels=[8, 16, 40, 64], channels=16)
    return model


def ocrnet() -> ConfigDict:
    return base('ocrnet_hr18')


def setr() -> ConfigDict:
    model = base('setr_naive')
    model.backbone.update(
        img_size=(SIZE, SIZE),
        embed_dims=24,
        num_layers=4,
        num_heads=2,
        out_indices=(0, 1, 2, 3),
    )
    for head in (model.decode_head, *model.auxiliary_head):
        head.update(in_channels=24, channels=12)
    return model


def ddrnet() -> ConfigDict:
    return base(
        'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024'
    )


def stdc() -> ConfigDict:
    model = base('stdc')
    model.auxiliary_head[-1].num_classes = 2  # of boundaries
    return model


def mask2former() -> ConfigDict:
    model = base('mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024')
    model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    model.backbone.norm_cfg.requires_grad = True
    head = model.decode_head
    head.update(
        in_channels=[8, 16, 32, 64],
        feat_channels=16,
        out_channels=16,
        num_queries=6,
    )
    head.pixel_decoder.norm_cfg.num_groups = 4
    head.pixel_decoder.encoder.num_layers = 1
    layer = head.pixel_decoder.encoder.layer_cfg
    layer.self_attn_cfg.update(embed_dims=16, num_heads=2)
    layer.ffn_cfg.update(embed_dims=16, feedforward_channels=16)
    head.pixel_decoder.positional_encoding.num_feats = 8
    head.positional_encoding.num_feats = 8
    head.transformer_decoder.num_layers = 2
    layer = head.transformer_decoder.layer_cfg
    for part in (layer.self_attn_cfg, layer.cross_attn_cfg):
        part.update(embed_dims=16, num_heads=2)
    layer.ffn_cfg.update(embed_dims=16, feedforward_channels=16)
    head.loss_cls.class_weight = [1.0] * CLASSES + [0.1]
    head.train_cfg.num_points = 100
    head.train_cfg.sampler = dict(type='mmdet.MaskPseudoSampler')
    return model


#: name -> network, tap of its logits
NETWORKS: dict[str, tuple[Callable[[], ConfigDict], str]] = dict(
    fcn=(fcn, 'decode_head.conv_seg'),
    deeplabv3plus=(deeplabv3plus, 'decode_head.conv_seg'),
    upernet_swin=(upernet_swin, 'decode_head.conv_seg'),
    segformer=(segformer, 'decode_head.conv_seg'),
    bisenetv2=(lambda: base('bisenetv2'), 'decode_head.conv_seg'),
    ddrnet=(ddrnet, 'decode_head.conv_seg'),
    ocrnet_hrnet=(ocrnet, 'decode_head.1.conv_seg'),
    fast_scnn=(lambda: base('fast_scnn'), 'decode_head.conv_seg'),
    stdc=(stdc, 'decode_head.conv_seg'),
    setr=(setr, 'decode_head.conv_seg'),
    icnet=(lambda: base('icnet_r50-d8'), 'decode_head.conv_seg'),
)
