"""Shape checks with messages that say what to change."""

from __future__ import annotations

import torch
from torch import nn


def check_feature_maps(
    owner: str, student: torch.Tensor, teacher: torch.Tensor
) -> None:
    """Check that two feature maps belong to the same images and positions.

    Args:
        owner: name of the caller, starts the message.
        student: (N, C_s, h, w).
        teacher: (N, C_t, h, w).

    Raises:
        ValueError: not four dimensions, or N, h or w differ.
    """
    shapes = (
        f'student features {tuple(student.shape)}, '
        f'teacher features {tuple(teacher.shape)}'
    )
    if student.ndim != 4 or teacher.ndim != 4:
        raise ValueError(
            f'{owner}: expected maps (N, C, h, w), got {shapes}; choose taps '
            'that record feature maps'
        )
    if student.shape[0] != teacher.shape[0]:
        raise ValueError(
            f'{owner}: the numbers of images differ: {shapes}; both networks '
            'must see the same batch'
        )
    if student.shape[2:] != teacher.shape[2:]:
        raise ValueError(
            f'{owner}: the heights and widths differ: {shapes}; maps are not '
            'interpolated silently: choose taps of the same stride, the same '
            "output stride for both networks, or resize='teacher' in the loss"
        )


def check_channels(
    owner: str, role: str, maps: torch.Tensor, channels: int
) -> None:
    """Check the channels of ``maps`` (N, C, ...) against the config.

    Raises:
        ValueError: C is not ``channels``.
    """
    if maps.shape[1] != channels:
        raise ValueError(
            f'{owner}: {role}_channels={channels}, but the {role} features '
            f'are {tuple(maps.shape)}; set {role}_channels={maps.shape[1]}'
        )


def check_input_channels(
    owner: str, role: str, maps: torch.Tensor, network: nn.Module
) -> None:
    """Check the channels of ``maps`` against the first layer they go to.

    Raises:
        ValueError: see `check_channels`.
    """
    for layer in network.modules():
        channels = getattr(layer, 'in_channels', None)
        if channels is not None:
            check_channels(owner, role, maps, channels)
            return


def check_logits(
    owner: str, student: torch.Tensor, teacher: torch.Tensor, dim: int = 1
) -> None:
    """Check that two logit tensors (N, K, ...) can be compared.

    Args:
        owner: name of the caller, starts the message.
        student: its logits.
        teacher: its logits.
        dim: where the K classes are.

    Raises:
        ValueError: there is no such dimension, or the classes K or any
            other dimension differ.
    """
    least = dim + 1 if dim >= 0 else -dim
    if min(student.ndim, teacher.ndim) < max(least, 2):
        raise ValueError(
            f'{owner}: expected logits (N, K, ...) with classes in dimension '
            f'{dim}, got student {tuple(student.shape)}, teacher '
            f'{tuple(teacher.shape)}'
        )
    if student.shape[dim] != teacher.shape[dim]:
        raise ValueError(
            f'{owner}: teacher predicts {teacher.shape[dim]} classes, '
            f'student {student.shape[dim]} (logits {tuple(teacher.shape)} '
            f'and {tuple(student.shape)}); set the same num_classes in both '
            'networks, and use a teacher trained on this data set'
        )
    if student.shape != teacher.shape:
        raise ValueError(
            f'{owner}: the shapes differ: student logits '
            f'{tuple(student.shape)}, teacher logits {tuple(teacher.shape)}; '
            'logits are not interpolated silently: choose taps of the same '
            "stride, or resize='teacher' in the loss"
        )


def check_several(
    owner: str, values: torch.Tensor, cure: str, dim: int = 1
) -> None:
    """Refuse a softmax over a single value.

    It is 1 whatever the value, so the loss is 0 and has no gradient.

    Args:
        owner: name of the caller, starts the message.
        values: e.g. logits (N, K, ...).
        cure: what to do, ends the message.
        dim: over which the softmax runs.

    Raises:
        ValueError: that dimension is 1.
    """
    if values.shape[dim] == 1:
        raise ValueError(
            f'{owner}: a softmax over dimension {dim} of '
            f'{tuple(values.shape)} is always 1, so the loss would be 0 and '
            f'without gradient; {cure}'
        )
