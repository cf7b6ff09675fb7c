"""CARAFE: each output pixel is a weighted sum around its source pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .precision import gradients, run


def _reassemble(
    features: Tensor,
    masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> Tensor:
    """Output (N, C, s H, s W) of features (N, C, H, W), s the scale.

    Args:
        masks: (N, group_size * kernel_size ** 2, s H, s W).
    """
    n, channels, h, w = features.shape
    s, half = scale_factor, (kernel_size - 1) // 2
    source = pad(features, [half] * 4).unflatten(1, (group_size, -1))
    weights = masks.view(n, group_size, -1, 1, h, s, w, s)
    output = features.new_zeros(
        n, group_size, channels // group_size, h, s, w, s
    )
    for place in range(kernel_size**2):
        y, x = divmod(place, kernel_size)
        seen = source[..., y : y + h, x : x + w]
        output = output + seen[..., :, None, :, None] * weights[:, :, place]
    return output.reshape(n, channels, h * s, w * s)


def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Reassemble features into ``output`` (N, C, s H, s W)."""

    def reassemble(features: Tensor, masks: Tensor) -> Tensor:
        return _reassemble(
            features, masks, kernel_size, group_size, scale_factor
        )

    output.copy_(run(reassemble, features, masks))


def carafe_naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Gradients of features and masks."""

    def reassemble(features: Tensor, masks: Tensor) -> Tensor:
        return _reassemble(
            features, masks, kernel_size, group_size, scale_factor
        )

    grads = gradients(reassemble, (features, masks), grad_output)
    grad_input.copy_(grads[0])
    grad_masks.copy_(grads[1])


@torch.no_grad()
def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """As the naive form; the backward pass gets ``rfeatures``."""
    rfeatures.copy_(features)
    carafe_naive_forward(
        features, masks, output, kernel_size, group_size, scale_factor
    )


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Gradients of features and masks; the other tensors are not needed."""
    carafe_naive_backward(
        grad_output,
        rfeatures,
        masks,
        grad_input,
        grad_masks,
        kernel_size,
        group_size,
        scale_factor,
    )
