"""How a network of any repository is run on plain images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

Forward = Callable[[nn.Module, Tensor], Any]


def whole(network: nn.Module, inputs: Tensor) -> Any:
    """Run all of it; OpenMMLab networks give raw outputs by default."""
    if 'data_samples' in signature(network.forward).parameters:
        return network(inputs, data_samples=None, mode='tensor')
    return network(inputs)


def features(network: nn.Module, inputs: Tensor) -> Any:
    """Run backbone and neck, for networks whose heads need more."""
    extract: Any = network.extract_feat
    return extract(inputs)


@torch.no_grad()
def choose_forward(network: nn.Module, inputs: Tensor) -> tuple[Forward, str]:
    """Return how ``network`` runs on ``inputs``.

    Returns:
        The function, and why the heads are left out; '' if they are not.

    Raises:
        ValueError: it does not run.
    """
    try:
        whole(network, inputs)
        return whole, ''
    except Exception as error:  # whatever a head may raise
        reason = f'{type(error).__name__}: {error}'
    if hasattr(network, 'extract_feat'):
        try:
            features(network, inputs)
            return features, reason
        except Exception as error:
            reason = f'{type(error).__name__}: {error}'
    raise ValueError(
        f'{type(network).__name__} does not run on inputs '
        f'{tuple(inputs.shape)} ({reason}); give inputs of a shape that it '
        'takes (--input-shape C H W)'
    )


def all_parts(network: nn.Module, inputs: Tensor, forward: Forward) -> Any:
    """Run ``forward`` and also the heads that only training uses."""
    outputs = [forward(network, inputs)]
    heads = getattr(network, 'auxiliary_head', None)
    if isinstance(heads, nn.Module) and hasattr(network, 'extract_feat'):
        maps = features(network, inputs)
        several = isinstance(heads, nn.ModuleList)
        for head in heads.children() if several else [heads]:
            outputs.append(head(maps))
    return outputs


@contextmanager
def watching(
    layers: Mapping[str, nn.Module],
    see: Callable[[str, nn.Module, Any, Any], None],
) -> Iterator[None]:
    """Show what layers do, for a ``with`` block.

    Args:
        layers: name -> layer.
        see: called with name, layer, its arguments and its output whenever
            one was run.
    """
    handles = [
        layer.register_forward_hook(partial(see, name))
        for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensors(outputs: Any) -> list[Tensor]:
    """Return the floating point tensors in ``outputs``."""
    return [
        leaf
        for leaf in tree_leaves(outputs)
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    ]


@torch.no_grad()
def outputs_of(
    network: nn.Module, inputs: Tensor, forward: Forward
) -> list[Tensor]:
    """Return the floating point tensors that ``network`` gives."""
    return tensors(forward(network, inputs))


def as_images(network: nn.Module, inputs: Tensor | Sequence[int]) -> Tensor:
    """Return images (N, C, H, W): those given, or one of a given shape.

    Args:
        network: that they are for.
        inputs: images, or their shape (C, H, W).

    Raises:
        ValueError: they have another number of dimensions, or are empty.
    """
    shape = inputs.shape if isinstance(inputs, Tensor) else (1, *inputs)
    if len(shape) != 4 or min(shape) < 1:
        given = shape if isinstance(inputs, Tensor) else shape[1:]
        raise ValueError(
            f'inputs of shape {tuple(given)}: give images (N, C, H, W), or '
            'the shape (C, H, W) of one, e.g. (3, 224, 224)'
        )
    if isinstance(inputs, Tensor):
        return inputs
    return example_inputs(network, shape)


def example_inputs(network: nn.Module, shape: Sequence[int]) -> Tensor:
    """Return random images (N, C, H, W) of the type of the weights."""
    parameter = next(network.parameters())
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator).to(parameter)
