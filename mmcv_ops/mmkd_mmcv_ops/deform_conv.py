"""Deformable convolution, plain and modulated, by torchvision."""

from __future__ import annotations

import torch
from torch import Tensor

from .precision import at_least_float32, without_autocast


def _convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: tuple[int, ...],
) -> Tensor:
    """Output without bias.

    Args:
        geometry: stride, padding, dilation (two each), groups, groups of
            offsets.
    """
    bias = input.new_zeros(weight.shape[0])
    use_mask = mask is not None
    mask = offset if mask is None else mask
    tensors = at_least_float32(input, weight, offset, mask, bias)
    with without_autocast(input):
        return torch.ops.torchvision.deform_conv2d(
            *tensors, *geometry, use_mask
        )


def _gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, ...]:
    """Gradients of input, weight, offset, mask and bias."""
    bias = input.new_zeros(weight.shape[0])
    use_mask = mask is not None
    if mask is None:
        mask = input.new_zeros(input.shape[0], 0, 0, 0)
    tensors = at_least_float32(grad_output, input, weight, offset, mask, bias)
    with without_autocast(input):
        return torch.ops.torchvision._deform_conv2d_backward(
            *(tensor.contiguous() for tensor in tensors), *geometry, use_mask
        )


@torch.no_grad()
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Plain deformable convolution, into ``output`` (N, C', H', W')."""
    dilation, groups = (dilationH, dilationW), (group, deformable_group)
    geometry = (dH, dW, padH, padW, *dilation, *groups)
    output.copy_(_convolve(input, weight, offset, None, geometry))


@torch.no_grad()
def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Gradients of input and offset.

    The gradient of the weight comes with them; it is left in the buffer
    ``columns`` for the call that asks for it next.
    """
    dilation, groups = (dilationH, dilationW), (group, deformable_group)
    geometry = (dH, dW, padH, padW, *dilation, *groups)
    grads = _gradients(grad_output, input, weight, offset, None, geometry)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])
    columns.resize_(weight.shape).copy_(grads[1])


@torch.no_grad()
def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Gradient of the weight, added to ``grad_weight``."""
    if columns.shape == grad_weight.shape:
        grad_weight.add_(columns, alpha=scale)
        columns.resize_(0)
        return
    dilation, groups = (dilationH, dilationW), (group, deformable_group)
    geometry = (dH, dW, padH, padW, *dilation, *groups)
    weight = torch.zeros_like(grad_weight)
    grads = _gradients(grad_output, input, weight, offset, None, geometry)
    grad_weight.add_(grads[1].to(grad_weight.dtype), alpha=scale)


def _of_output_size(
    tensor: Tensor, input: Tensor, weight: Tensor, geometry: tuple[int, ...]
) -> Tensor:
    """Offsets or masks as the compiled operator reads them.

    It does not look at their height and width, but reads as many numbers of
    each image as the output needs, one after the other. The published
    networks with DyHead, which give offsets of another level, rely on it.
    """
    size = []
    for axis in (0, 1):
        kernel = geometry[axis + 4] * (weight.shape[axis + 2] - 1) + 1
        extent = input.shape[axis + 2] + 2 * geometry[axis + 2] - kernel
        size.append(extent // geometry[axis] + 1)
    channels = tensor.shape[1]
    needed = channels * size[0] * size[1]
    if list(tensor.shape[2:]) == size or tensor[0].numel() < needed:
        return tensor
    read = tensor.contiguous().flatten(1)[:, :needed]
    return read.reshape(-1, channels, *size)


@torch.no_grad()
def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Modulated deformable convolution, into ``output`` (N, C', H', W')."""
    stride, padding = (stride_h, stride_w), (pad_h, pad_w)
    dilation, groups = (dilation_h, dilation_w), (group, deformable_group)
    geometry = (*stride, *padding, *dilation, *groups)
    offset = _of_output_size(offset, input, weight, geometry)
    mask = _of_output_size(mask, input, weight, geometry)
    result = _convolve(input, weight, offset, mask, geometry)
    if with_bias:
        result += bias.to(result.dtype)[:, None, None]
    output.copy_(result)


@torch.no_grad()
def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Gradients of input, weight, bias, offset and mask."""
    stride, padding = (stride_h, stride_w), (pad_h, pad_w)
    dilation, groups = (dilation_h, dilation_w), (group, deformable_group)
    geometry = (*stride, *padding, *dilation, *groups)
    offset = _of_output_size(offset, input, weight, geometry)
    mask = _of_output_size(mask, input, weight, geometry)
    grads = _gradients(grad_output, input, weight, offset, mask, geometry)
    grad_input.copy_(grads[0])
    grad_weight.copy_(grads[1])
    for target, grad in ((grad_offset, grads[2]), (grad_mask, grads[3])):
        read = grad.flatten(1)
        target.view(len(target), -1)[:, : read.shape[1]].copy_(read)
    if with_bias:
        grad_bias.copy_(grads[4])
