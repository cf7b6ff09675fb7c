"""Is the compact network the masked one?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.forward import (
    Forward,
    example_inputs,
    tensors,
    watching,
)
from mmkd.pruning.compaction.plan import Plan

# largest difference of an output over its largest value
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 2e-2,
}


class CompactionError(RuntimeError, ValueError):
    """The compact network is not the masked one."""


@torch.no_grad()
def verify(
    masked: nn.Module,
    compact: nn.Module,
    plan: Plan,
    inputs: Tensor,
    forward: Forward,
    tolerance: float | None = None,
) -> float:
    """Compare both on one image and on three of another size.

    Args:
        masked: network of full width, in eval mode.
        compact: the other one, in eval mode.
        plan: says which channels correspond.
        inputs: (N, C, H, W), for the first size.
        forward: runs a network.
        tolerance: largest relative difference; defaults to that of the type
            of the weights in `TOLERANCES`.

    Returns:
        The largest difference of an output over its largest value.

    Raises:
        CompactionError: it is above ``tolerance``; the first layer that
            differs is named.
    """
    if tolerance is None:
        tolerance = TOLERANCES[inputs.dtype]
    worst = 0.0
    for images in (inputs[:1], _other_size(masked, inputs, forward)):
        try:
            found = tensors(forward(compact, images))
        except (RuntimeError, TypeError, ValueError) as error:
            raise CompactionError(
                'the compact network does not run on inputs '
                f'{tuple(images.shape)}: {error}'
            ) from error
        wanted = tensors(forward(masked, images))
        errors = [
            relative_error(one, two)
            for one, two in zip(wanted, found, strict=True)
        ]
        largest = max(errors, key=lambda e: float('inf') if e != e else e)
        if not largest <= tolerance:
            layer = _first_mismatch(
                masked, compact, plan, images, forward, tolerance
            )
            raise CompactionError(
                'the compact network is not the masked one: an output '
                f'differs by {largest:.3g} of its largest value (allowed '
                f'{tolerance:.3g}) on inputs {tuple(images.shape)}; first '
                f'layer that differs: {layer}. Nothing was written. Leave '
                'the traced part out (trace=False, --no-trace) and report '
                'the network'
            )
        worst = max(worst, largest)
    return worst


def relative_error(wanted: Tensor, found: Tensor) -> float:
    """Return max |wanted - found| / max |wanted|; inf if shapes differ."""
    if wanted.shape != found.shape:
        return float('inf')
    if not wanted.numel():
        return 0.0
    scale = float(wanted.abs().max()) or 1.0
    return float((wanted.double() - found.double()).abs().max()) / scale


def _other_size(
    network: nn.Module, inputs: Tensor, forward: Forward
) -> Tensor:
    """Return three images of another size, of the same if it must be."""
    channels, *size = inputs.shape[1:]
    smaller = [max(32, pixels * 3 // 4 // 32 * 32) for pixels in size]
    if smaller == size:
        smaller = [pixels + 32 for pixels in size]
    images = example_inputs(network, (3, channels, *smaller))
    try:
        forward(network, images)
    except Exception:  # networks of one input size raise all kinds
        return example_inputs(network, (3, channels, *size))
    return images


def _first_mismatch(
    masked: nn.Module,
    compact: nn.Module,
    plan: Plan,
    images: Tensor,
    forward: Forward,
    tolerance: float,
) -> str:
    """Return the first layer whose outputs differ, in order of execution.

    Convolutions are left out: what is folded into the norm behind them
    makes them differ.
    """
    wanted = _layer_outputs(masked, images, forward)
    found = _layer_outputs(compact, images, forward)
    for name, one in wanted.items():
        two = found.get(name)
        keep = plan['modules'].get(name, {}).get('keep_out')
        if keep is not None:
            one = one[:, keep]
        if two is None or one.shape != two.shape:
            continue
        error = relative_error(one, two)
        if not error <= tolerance:
            return f'"{name}" (by {error:.3g})'
    return 'none of those with comparable outputs'


def _layer_outputs(
    network: nn.Module, images: Tensor, forward: Forward
) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    layers = {
        name: module
        for name, module in network.named_modules()
        if not isinstance(module, _ConvNd) and not list(module.children())
    }

    def keep(name: str, layer: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and name not in outputs:
            outputs[name] = output.clone()

    with watching(layers, keep):
        forward(network, images)
    return outputs
