"""Multi-scale deformable attention, by mmcv's own form in plain torch."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from .precision import gradients, run


def _attend(
    shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    # mmcv.ops is complete only after it has imported this package
    from mmcv.ops.multi_scale_deform_attn import (
        multi_scale_deformable_attn_pytorch,
    )

    return multi_scale_deformable_attn_pytorch(
        value, shapes, locations, weights
    )


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Attended values (N, queries, heads * channels).

    Args:
        value: (N, keys, heads, channels). spatial_shapes: (levels, 2), h w.
        sampling_locations: (N, queries, heads, levels, points, 2), x y from
            0 to 1. attention_weights: the same without the last axis.
    """
    attend = partial(_attend, spatial_shapes)
    output = run(attend, value, sampling_locations, attention_weights)
    return output.to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of values, locations and weights."""
    attend = partial(_attend, spatial_shapes)
    inputs = (value, sampling_locations, attention_weights)
    grads = gradients(attend, inputs, grad_output)
    targets = (grad_value, grad_sampling_loc, grad_attn_weight)
    for target, grad in zip(targets, grads, strict=True):
        target.copy_(grad)
