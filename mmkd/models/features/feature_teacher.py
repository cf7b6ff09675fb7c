"""Any pretrained network as a teacher of features, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from torch import nn
from torch.nn import functional

from mmkd.models.features.sources import find_source
from mmkd.models.features.tokens import (
    last_tensor,
    pad_to_multiple,
    split_tokens,
)
from mmkd.registry import MODELS

GLOBALS = ('auto', 'token', 'mean')
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@MODELS.register_module()
class FeatureTeacher(nn.Module):
    """Give a dense map and a global vector, whatever the network is.

    Taps of a teacher: ``dense``, (N, C, H, W), and ``pooled``, (N, C). Maps
    are taken as they are; tokens become a map without class and register
    tokens. Images are brought to the network's own normalisation (by the
    distiller) and size, and padded to whole patches.

    Args:
        model: ``'timm:NAME'``, ``'hf:NAME'`` (or ``'hf:FOLDER'``), the name
            of a config, or the dict of a network or backbone of a task
            repository.
        checkpoint: a local file with its weights, read without running
            code; None: those of the library (downloaded once), or of
            ``init_cfg``.
        size: height and width that images are resized to: ``'own'``, those
            of the network's training; ``'images'``, the student's; a number
            of pixels or (H, W).
        pooling: the global vector: ``'token'``, the class token;
            ``'mean'`` of the map; ``'auto'``, the token if there is one.
        mean, std: of its images, RGB, 0 to 255, instead of what the
            network says; ImageNet's if it says nothing.
        patch_size, prefix_tokens: of a network that does not say.
        options: further arguments of ``timm.create_model`` or
            ``AutoModel.from_pretrained``.

    Raises:
        ImportError: the library is not installed.
        ValueError: an argument or the checkpoint does not fit.
    """

    def __init__(
        self,
        model: str | Mapping[str, Any],
        checkpoint: str | None = None,
        size: str | int | Sequence[int] = 'own',
        pooling: str = 'auto',
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        patch_size: int | None = None,
        prefix_tokens: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in GLOBALS:
            raise ValueError(
                f'FeatureTeacher: pooling="{pooling}" is none of '
                f'{", ".join(GLOBALS)}'
            )
        source = find_source(model, checkpoint, options or {})
        self.network = source.network
        self.call = source.call
        self.pooling = pooling
        self.patch = source.patch
        if patch_size is not None:
            self.patch = (patch_size, patch_size)
        self.prefix = source.prefix if prefix_tokens is None else prefix_tokens
        self.channels_last = source.channels_last
        self.own_size, self.resizes = source.size, source.resizes
        self.size = _size(size, source.size, source.any_size)
        self.data_preprocessor = ImgDataPreprocessor(
            mean=list(mean or source.mean or IMAGENET_MEAN),
            std=list(std or source.std or IMAGENET_STD),
            bgr_to_rgb=True,
        )
        self.dense = nn.Identity()
        self.pooled = nn.Identity()
        name = model if isinstance(model, str) else 'a network of its own'
        licence = source.licence or 'not stated, see where they come from'
        self.origin = f'{name}, {checkpoint or "published weights"}; ' + (
            f'licence of the published weights: {licence}'
        )

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the dense map and the global vector.

        Shape:
            inputs: (N, 3, H, W), normalised for this network.
            returns: (N, C, h, w) and (N, C).
        """
        if self.size is not None and inputs.shape[-2:] != self.size:
            inputs = functional.interpolate(
                inputs.float(),  # not on CPUs in half precision
                self.size,
                mode='bilinear',
                antialias=_antialias(inputs),
            ).to(inputs.dtype)
        grid = None
        if self.patch is not None:
            inputs = pad_to_multiple(inputs, self.patch)
            height, width = inputs.shape[-2:]
            grid = (height // self.patch[0], width // self.patch[1])
        dense, token = split_tokens(
            last_tensor(self._ask(inputs)),
            grid,
            self.prefix,
            self.channels_last,
        )
        if self.pooling == 'token' and token is None:
            raise ValueError(
                'FeatureTeacher: pooling="token", but the network '
                f'({type(self.network).__name__}) has no class token: set '
                'pooling="mean"'
            )
        if token is None or self.pooling == 'mean':
            token = dense.mean((2, 3))
        return self.dense(dense), self.pooled(token)

    def _ask(self, images: torch.Tensor) -> Any:
        """Return what the network gives for images, before any head."""
        network: Any = self.network
        if self.call == 'forward_features':
            return network.forward_features(images)
        if self.call == 'pixel_values':
            told = {}
            if self.resizes and images.shape[-2:] != self.own_size:
                told['interpolate_pos_encoding'] = True
            return network(pixel_values=images, **told)
        return getattr(network, 'backbone', network)(images)

    def init_weights(self) -> None:
        """Leave the weights as they are: they were loaded when built."""


def _antialias(images: torch.Tensor) -> bool:
    """Whether `interpolate` smooths; it cannot without storage."""
    return images.device.type != 'meta'


def _size(
    given: Any, own: tuple[int, int] | None, any_size: bool
) -> tuple[int, int] | None:
    """Return (H, W) that images are resized to, or None.

    Raises:
        ValueError: no such size.
    """
    if given == 'own':
        return own
    if given == 'images':
        found = None
    elif isinstance(given, int) and given > 0:
        found = (given, given)
    elif (
        isinstance(given, Sequence)
        and len(given) == 2
        and all(isinstance(n, int) and n > 0 for n in given)
    ):
        found = (given[0], given[1])
    else:
        raise ValueError(
            f'FeatureTeacher: size={given!r} is neither "own", "images", a '
            'number of pixels nor (H, W)'
        )
    if not any_size and own is not None and found != own:
        raise ValueError(
            f'FeatureTeacher: size={given!r}, but this network runs on '
            f'{own[0]} x {own[1]} pixels only: set size="own"'
        )
    return found
