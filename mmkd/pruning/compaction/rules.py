"""Channels inside blocks whose structure is known by their class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.graph import ChannelGraph
from mmkd.pruning.compaction.modules import is_depthwise, submodule


@dataclass(frozen=True)
class Step:
    """Convolution, norm, activation; as paths inside the block.

    Args:
        conv: path of the convolution.
        norm: path of its norm, if any.
        activation: path of the activation, if any.
    """

    conv: str
    norm: str | None = None
    activation: str | None = None


def _numbered(count: int) -> Callable[[nn.Module], list[Step] | None]:
    """conv1, norm1, relu, conv2, ...: residual blocks of all repositories."""

    def steps(block: nn.Module) -> list[Step] | None:
        if getattr(block, 'with_plugins', False):
            return None
        names = [
            getattr(block, f'norm{i}_name', f'bn{i}')
            for i in range(1, count + 1)
        ]
        found = [
            Step(f'conv{i}', name, 'relu')
            for i, name in enumerate(names, start=1)
        ]
        needed = [p for step in found for p in (step.conv, step.norm)]
        known = dict(block.named_children())
        return found if {*needed, 'relu'} <= known.keys() else None

    return steps


def _chain(attribute: str) -> Callable[[nn.Module], list[Step] | None]:
    """``ConvModule`` after ``ConvModule`` in one Sequential."""

    def steps(block: nn.Module) -> list[Step] | None:
        layers = getattr(block, attribute, None)
        if not isinstance(layers, nn.Sequential):
            return None
        found = []
        for name, layer in layers.named_children():
            if type(layer).__name__ != 'ConvModule' or layer.order != (
                'conv',
                'norm',
                'act',
            ):
                return None
            path = f'{attribute}.{name}.'
            norm = f'{path}{layer.norm_name}' if layer.with_norm else None
            act = path + 'activate' if layer.with_activation else None
            found.append(Step(path + 'conv', norm, act))
        return found

    return steps


# class name -> steps of a block in order, None if it differs from the usual
RULES: dict[str, Callable[[nn.Module], list[Step] | None]] = {
    'BasicBlock': _numbered(2),
    'Bottleneck': _numbered(3),
    'InvertedResidual': _chain('conv'),
}


def apply_rules(network: nn.Module, graph: ChannelGraph) -> set[str]:
    """Enter the inner channels of all known blocks into ``graph``.

    Returns:
        Paths of the convolutions whose outputs are done.
    """
    done: set[str] = set()
    for path, block in network.named_modules():
        rule = RULES.get(type(block).__name__)
        steps = rule(block) if rule is not None else None
        prefix = f'{path}.' if path else ''
        if steps and _only_convolutions(block, steps):
            done.update(_follow(network, prefix, steps, graph))
    return done


def _only_convolutions(block: nn.Module, steps: list[Step]) -> bool:
    return all(
        isinstance(submodule(block, step.conv), _ConvNd) for step in steps
    )


def _follow(
    network: nn.Module, prefix: str, steps: list[Step], graph: ChannelGraph
) -> Iterator[str]:
    """Go through one block; yields the convolutions that are done."""
    channels = None
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        name = prefix + step.conv
        conv = submodule(network, name)
        if step.norm is not None:
            graph.norm_of[name] = prefix + step.norm
        if channels is None and is_depthwise(conv):
            continue  # its channels come from outside
        if channels is not None and is_depthwise(conv) and not last:
            channels = graph.depthwise(name, conv, channels)
        else:
            if channels is not None:
                graph.read(name, conv, channels)
            if last:
                return
            channels = graph.source(name, conv)
        yield name
        if channels is not None and step.norm is not None:
            norm = submodule(network, prefix + step.norm)
            channels = graph.norm(prefix + step.norm, norm, channels)
        if channels is not None and step.activation is not None:
            act = submodule(network, prefix + step.activation)
            channels = graph.activation(act, channels)
