"""The proposal network: which windows it points at."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmkd.models.classifiers.activation import class_activation_map


def linear_weights(network: nn.Module) -> list[Tensor]:
    """Return the weights (Q, C) of a classifier's linear layers.

    One, or one for each branch.

    Raises:
        ValueError: its head is not linear.
    """
    head: Any = getattr(network, 'head', None)
    layers = getattr(head, 'fcs', None) or [getattr(head, 'fc', None)]
    if not all(isinstance(layer, nn.Linear) for layer in layers):
        raise ValueError(
            f'proposal: its head is {type(head).__name__}, but patches are '
            'found by the weights of one linear layer on pooled features; '
            'use GlobalAveragePooling and LinearClsHead'
        )
    return [layer.weight for layer in layers]


@torch.no_grad()
def activation_maps(network: Any, images: Tensor) -> list[Tensor]:
    """Return the activation of the class that the network predicts.

    Shape:
        images: (N, 3, H, W).
        returns: one (N, gh, gw) for each branch of the network.
    """
    feats = network.extract_feat(images, stage='backbone')
    feats = feats if isinstance(feats, (tuple, list)) else (feats,)
    pooled = network.neck(tuple(feats)) if network.with_neck else tuple(feats)
    predicted = network.head(pooled).argmax(1)
    weights = linear_weights(network)
    return [
        class_activation_map(features, weight, predicted)
        for features, weight in zip(
            feats[-len(weights) :], weights, strict=True
        )
    ]


def choose_windows(
    network: Any, selector: nn.Module, images: Tensor
) -> tuple[Tensor, Tensor]:
    """Return boxes (N, K, 4) and valid (N, K) of images (N, 3, H, W)."""
    maps = activation_maps(network, images)
    several = hasattr(selector, 'patch_sizes')
    return selector(maps if several else maps[-1])


def build_selector(selector: Any, network: Any) -> Any:
    """Build the selector; its windows are those of the backbone.

    Args:
        selector: its config, or the built module.
        network: the proposal network.

    Raises:
        ValueError: the windows differ from the backbone's.
    """
    backbone = network.backbone
    if isinstance(selector, nn.Module):
        built: Any = selector
    else:
        config = dict(selector or {})
        config.setdefault('type', 'mmkd.PatchSelector')
        several = str(config['type']).endswith('MultiScalePatchSelector')
        for key in (
            ('patch_sizes', 'strides')
            if several
            else (
                'patch_size',
                'stride',
            )
        ):
            if hasattr(backbone, key):
                config.setdefault(key, getattr(backbone, key))
        built = MODELS.build(config)
    if hasattr(built, 'patch_sizes'):
        keys = ('patch_sizes', 'strides')
    else:
        keys = ('patch_size', 'stride')
    for key in keys:
        own, wanted = getattr(built, key), getattr(backbone, key, None)
        if wanted is not None and own != wanted:
            raise ValueError(
                f'selector.{key}={own}, but the windows of proposal.backbone '
                f'({type(backbone).__name__}) have {key}={wanted}; leave '
                f'`{key}` out of the selector'
            )
    return built
