"""What networks of the task repositories take: images, and samples of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import nn

from mmkd.tasks import repository_of

USUAL_SIZE = (224, 224)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Attributes of backbones, and of their patch embeddings, made for one size.
_SIZES = ('img_size', 'image_size', 'init_input_size')


def input_shapes(
    network: nn.Module, preprocessor: nn.Module | None = None
) -> list[tuple[int, int, int]]:
    """Return shapes (C, H, W) of images, the likeliest first.

    Args:
        network: of a task repository, or a backbone; made for one size it
            says so itself (``backbone.img_size``, ``head.input_size``, its
            codec). Channels are those of the mean or the first convolution.
        preprocessor: of its images; defaults to its own. The size that it
            pads to comes first.
    """
    if preprocessor is None:
        preprocessor = getattr(network, 'data_preprocessor', None)
    sizes = [*_own_sizes(network, preprocessor), USUAL_SIZE]
    channels = list(_channels(network, preprocessor))
    shapes = [(count, *size) for size in sizes for count in channels]
    return list(dict.fromkeys(shapes))


def _channels(
    network: nn.Module, preprocessor: nn.Module | None
) -> Iterator[int]:
    mean: Any = getattr(preprocessor, 'mean', None)
    if isinstance(mean, torch.Tensor) and mean.numel() > 1:
        yield mean.numel()  # a single one may serve all channels
    backbone = getattr(network, 'backbone', network)
    for module in backbone.modules():
        if isinstance(module, _CONVOLUTIONS):
            yield module.in_channels
            break
    yield 3


def _own_sizes(
    network: nn.Module, preprocessor: nn.Module | None
) -> Iterator[tuple[int, int]]:
    """Return (H, W) that preprocessor and network were made for."""
    found = [getattr(preprocessor, 'size', None)]
    backbone: Any = getattr(network, 'backbone', network)
    for part in (backbone, getattr(backbone, 'patch_embed', None)):
        found += [getattr(part, name, None) for name in _SIZES]
    head: Any = getattr(network, 'head', None)
    for part in (head, getattr(head, 'decoder', None)):
        size = getattr(part, 'input_size', None)  # (width, height)
        if isinstance(size, Sequence):
            found.append(tuple(size)[::-1])
    box_head: Any = getattr(network, 'bbox_head', None)
    found.append(
        getattr(getattr(box_head, 'prior_generator', None), 'input_size', None)
    )
    for size in found:
        if isinstance(size, int):
            yield size, size
        elif isinstance(size, Sequence) and len(size) == 2:
            yield int(size[0]), int(size[1])


def image_samples(
    network: nn.Module, rows: int, shape: Sequence[int]
) -> list[BaseDataElement] | None:
    """Return data samples without labels, where a forward reads them.

    Two-stage and query detectors read the sizes of images.

    Args:
        network: its repository decides.
        rows: number of images.
        shape: (C, H, W) of each.
    """
    if repository_of(network) not in ('mmdet', 'mmseg', 'mmpose'):
        return None
    size = tuple(shape[1:])
    return [
        BaseDataElement(
            metainfo=dict(
                img_id=index,
                ori_shape=size,
                img_shape=size,
                pad_shape=size,
                batch_input_shape=size,
                scale_factor=(1.0, 1.0),
            )
        )
        for index in range(rows)
    ]
