"""Data preprocessors of a config: which one prepares the images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.logging import print_log
from torch import nn

#: no matter of pixels: the class decides on views and batch augmentations
_FREE = ('type', '_scope_', 'num_classes')
_SWAPS = ('to_rgb', 'bgr_to_rgb', 'rgb_to_bgr')


def difference(one: Any, two: Any) -> str:
    """Say in what two preprocessors' dicts prepare images differently.

    Mean, standard deviation and the order of channels count always, other
    keys where both give them.

    Returns:
        E.g. ``'mean is [0.0] and [127.5]'``; empty if they agree, or if one
        is no dict.
    """
    if not isinstance(one, Mapping) or not isinstance(two, Mapping):
        return ''
    keys = sorted({*one} & {*two} - {*_FREE, *_SWAPS})
    for key in ('mean', 'std', *keys):
        first, second = _plain(one.get(key)), _plain(two.get(key))
        if first != second:
            return f'{key} is {first} and {second}'
    swaps = [any(given.get(key) for key in _SWAPS) for given in (one, two)]
    if swaps[0] != swaps[1]:
        return f'the channels are swapped: {swaps[0]} and {swaps[1]}'
    return ''


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def replace_preprocessor(model: Any, label: str, preprocessor: Any) -> None:
    """Give the dict of a network the preprocessor of its distiller.

    Each repository completes it in its own way when it builds the network.
    """
    differs = difference(preprocessor, model.get('data_preprocessor'))
    if differs:
        print_log(
            f'model.data_preprocessor replaces that of {label}: {differs}',
            logger='current',
            level=logging.WARNING,
        )
    model['data_preprocessor'] = preprocessor


def image_channels(network: nn.Module) -> int | None:
    """Return the number of channels of the images that a network takes.

    It is that of its first convolution, or else of its preprocessor's mean
    (if that is not one number for all); None if neither says it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    mean: Any = getattr(network, 'data_preprocessor', None)
    mean = getattr(mean, 'mean', None)
    return mean.numel() if mean is not None and mean.numel() > 1 else None


def require_same_channels(peers: Iterable[nn.Module]) -> None:
    """Refuse peers that take images of different channels.

    Raises:
        ValueError: gives the numbers.
    """
    counts = [image_channels(peer) for peer in peers]
    if len({count for count in counts if count is not None}) > 1:
        raise ValueError(
            'all peers see the same images; those of cohort.peers have '
            f'{counts} channels: correct in_channels of the backbones'
        )
