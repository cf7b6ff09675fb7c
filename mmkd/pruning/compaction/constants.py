"""What zero filters are, and the constants that they leave behind."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.modules import convolutions

# A filter whose norm is smaller than this share of its layer's median norm,
# but not zero, was damped and not finished.
TINY = 1e-4


def filter_norms(conv: _ConvNd) -> torch.Tensor:
    """Return the L2 norm of every filter of a convolution, (C_out,)."""
    return _filters(conv).double().norm(dim=1)


def zero_filters(conv: _ConvNd) -> torch.Tensor:
    """Return which filters are exactly zero, (C_out,) bool."""
    return (_filters(conv) == 0).all(dim=1)


def _filters(conv: _ConvNd) -> torch.Tensor:
    """Return one row per filter."""
    weight = conv.weight.detach().cpu()
    if conv.transposed:  # (C_in, C_out / groups, kH, kW)
        weight = weight.reshape(conv.groups, -1, *weight.shape[1:])
        weight = weight.transpose(1, 2).flatten(0, 1)
    return weight.flatten(1)


def conv_bias(conv: _ConvNd) -> torch.Tensor:
    """Return the bias of a convolution or zeros, (C_out,) float64."""
    if conv.bias is None:
        return torch.zeros(conv.out_channels, dtype=torch.float64)
    return conv.bias.detach().cpu().double()


def norm_constant(norm: _BatchNorm, value: torch.Tensor) -> torch.Tensor:
    """Return what a batch norm in eval mode makes of constant channels.

    beta + gamma * (value - mean) / sqrt(var + eps)

    Args:
        norm: with running statistics.
        value: (C,) float64.
    """
    state = norm.state_dict()
    mean = state['running_mean'].cpu().double()
    scale = (state['running_var'].cpu().double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().cpu().double()
    shifted = (value - mean) * scale
    if norm.bias is not None:
        shifted = shifted + norm.bias.detach().cpu().double()
    return shifted


def check_zero_filters(
    network: nn.Module, allow_dense: bool, allow_tiny: bool
) -> dict[str, int]:
    """Return how many filters of each convolution are zero.

    Layers without a zero filter are left out.

    Args:
        network: with masked weights.
        allow_dense: accept a network without a zero filter.
        allow_tiny: accept filters that are nearly zero; they are kept.

    Raises:
        ValueError: there is no zero filter, or there are tiny ones.
    """
    counts: dict[str, int] = {}
    smallest = (float('inf'), '')
    tiny: list[str] = []
    for name, conv in convolutions(network).items():
        norms, zero = filter_norms(conv), zero_filters(conv)
        if zero.any():
            counts[name] = int(zero.sum())
        rest = norms[~zero]
        if not len(rest):
            continue
        smallest = min(smallest, (float(rest.min()), name))
        few = int((rest < TINY * rest.median()).sum())
        if few:
            tiny.append(f'{name} ({few}, smallest norm {rest.min():.3g})')
    if tiny and not allow_tiny:
        raise ValueError(
            f'filters that are tiny but not zero in {len(tiny)} layers: '
            f'{", ".join(tiny[:3])}; the damping was not finished: use a '
            'checkpoint written after the last masking step of the final '
            'epoch (alpha = 0), or keep these filters with allow_tiny=True '
            '(--allow-tiny)'
        )
    if not counts and not allow_dense:
        raise ValueError(
            'no filter of the network is zero; the smallest norm is '
            f'{smallest[0]:.3g} in "{smallest[1]}": use a checkpoint of the '
            'final phase of soft filter pruning, written after masking'
        )
    return counts
