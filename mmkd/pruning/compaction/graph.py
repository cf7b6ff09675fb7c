"""Which layers share a channel, and where a channel is constant."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.constants import (
    conv_bias,
    norm_constant,
    zero_filters,
)
from mmkd.pruning.compaction.modules import pads_zeros


@dataclass
class Channels:
    """What is known of dimension 1 of a feature map.

    Args:
        ids: (C,) which channel of the graph each one is; -1 for channels
            that are always kept.
        const: (C,) whether it has one value at all pixels of all images.
        value: (C,) float64, this value; 0 where it is not constant.
        summed: whether it is a sum of several maps.
    """

    ids: torch.Tensor
    const: torch.Tensor
    value: torch.Tensor
    summed: bool = False

    def with_constants(
        self, value: torch.Tensor, const: torch.Tensor | None = None
    ) -> Channels:
        """Return the same channels with other constants."""
        const = self.const if const is None else const
        value = torch.where(const, value.double(), torch.zeros(()).double())
        return Channels(self.ids, const, value, self.summed)

    def only_zeros(self) -> Channels:
        """Return them with no constants but 0, e.g. after zero padding."""
        return self.with_constants(self.value, self.const & (self.value == 0))

    def repeat(self, times: int) -> Channels:
        """Return each channel ``times`` times, as flattening does."""
        return Channels(
            self.ids.repeat_interleave(times),
            self.const.repeat_interleave(times),
            self.value.repeat_interleave(times),
            self.summed,
        )


@dataclass
class Reader:
    """A layer that mixes channels: their last stop.

    Args:
        channels: of its input.
        groups: of the convolution.
        foldable: constants can go into a bias, because no zero padding
            touches the map.
    """

    channels: Channels
    groups: int
    foldable: bool


@dataclass
class ChannelGraph:
    """Channels from the filters that make them to the layers that mix them.

    Rules and the tracer fill it; `choose_kept` reads it. All layers that
    are listed with the same id lose this channel together.
    """

    sources: dict[str, torch.Tensor] = field(default_factory=dict)
    followers: dict[str, torch.Tensor] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)
    padders: dict[str, torch.Tensor] = field(default_factory=dict)
    norm_of: dict[str, str] = field(default_factory=dict)
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = field(
        default_factory=list
    )
    blocked: list[tuple[torch.Tensor, str]] = field(default_factory=list)
    size: int = 0

    def source(self, name: str, conv: _ConvNd) -> Channels:
        """Return the output channels of a convolution.

        Those of zero filters are constant: the bias.
        """
        if name not in self.sources:
            ids = torch.arange(self.size, self.size + conv.out_channels)
            self.sources[name] = ids
            self.size += conv.out_channels
        zero = zero_filters(conv)
        whole = Channels(self.sources[name], zero, conv_bias(conv))
        return whole.with_constants(conv_bias(conv))

    def norm(
        self, name: str, norm: nn.Module, channels: Channels
    ) -> Channels | None:
        """Follow ``channels`` through a batch norm."""
        if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
            self.block(
                channels.ids,
                f'{name} ({type(norm).__name__}) normalises with statistics '
                'that depend on the other channels or on the batch',
            )
            return None
        if not self._follow(name, channels):
            return None
        return channels.with_constants(norm_constant(norm, channels.value))

    def depthwise(
        self, name: str, conv: _ConvNd, channels: Channels
    ) -> Channels | None:
        """Follow ``channels`` through a depth-wise convolution."""
        if not self._follow(name, channels):
            return None
        bias = conv_bias(conv)
        inside = channels.only_zeros() if pads_zeros(conv) else channels
        total = conv.weight.detach().cpu().double().flatten(1).sum(1)
        value = bias + inside.value * total
        return channels.with_constants(
            value, zero_filters(conv) | inside.const
        )

    def append_zeros(
        self, name: str, count: int, channels: Channels
    ) -> Channels:
        """Return ``channels`` and ``count`` more, which are zero.

        Args:
            name: path of the module that appends them; its attribute
                ``new_channels`` says how many.
            count: that number.
            channels: before.
        """
        if name not in self.padders:
            self.padders[name] = torch.arange(self.size, self.size + count)
            self.size += count
        return Channels(
            torch.cat([channels.ids, self.padders[name]]),
            torch.cat([channels.const, torch.ones(count, dtype=torch.bool)]),
            torch.cat([channels.value, channels.value.new_zeros(count)]),
            channels.summed,
        )

    def scaled(self, name: str, channels: Channels) -> bool:
        """Note a layer with one parameter per channel, such as PReLU."""
        return self._follow(name, channels)

    def pointwise(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        channels: Channels,
    ) -> Channels:
        """Follow ``channels`` through an activation.

        Args:
            function: from (1, C, 1, 1) float64 to the same shape.
        """
        values = function(channels.value.clone().view(1, -1, 1, 1))
        return channels.with_constants(values.detach().flatten())

    def activation(self, module: nn.Module, channels: Channels) -> Channels:
        """Follow ``channels`` through an activation module."""
        return self.pointwise(copy.deepcopy(module).cpu().double(), channels)

    def read(self, name: str, layer: nn.Module, channels: Channels) -> None:
        """End ``channels`` at a convolution or linear layer."""
        known = self.readers.get(name)
        if known is None:
            groups = getattr(layer, 'groups', 1)
            self.readers[name] = Reader(
                channels, groups, not pads_zeros(layer)
            )
        elif not _same(known.channels, channels):
            reason = f'{name} reads several maps that differ'
            self.block(channels.ids, reason)
            self.block(known.channels.ids, reason)

    def couple(self, one: Channels, two: Channels) -> Channels:
        """Return the channels of a sum; both addends are kept or none."""
        fixed = (one.ids < 0) != (two.ids < 0)
        for part in (one, two):
            self.block(
                part.ids[fixed], 'added to channels that are always kept'
            )
        both = (one.ids >= 0) & (two.ids >= 0)
        self.pairs.append((one.ids[both], two.ids[both]))
        total = Channels(one.ids, one.const & two.const, one.value, True)
        return total.with_constants(one.value + two.value)

    def block(self, ids: torch.Tensor, reason: str) -> None:
        """Keep the channels ``ids`` for ``reason``."""
        self.blocked.append((ids[ids >= 0], reason))

    def roots(self) -> torch.Tensor:
        """Return for every id the smallest one that is coupled with it."""
        parent = list(range(self.size))

        def find(index: int) -> int:
            while parent[index] != index:
                parent[index] = parent[parent[index]]
                index = parent[index]
            return index

        for one, two in self.pairs:
            for a, b in zip(one.tolist(), two.tolist(), strict=True):
                low, high = sorted((find(a), find(b)))
                parent[high] = low
        return torch.tensor([find(i) for i in range(self.size)]).long()

    def _follow(self, name: str, channels: Channels) -> bool:
        known = self.followers.setdefault(name, channels.ids)
        if torch.equal(known, channels.ids):
            return True
        for ids in (known, channels.ids):
            self.block(ids, f'{name} is used for several maps')
        return False


def _same(one: Channels, two: Channels) -> bool:
    return all(
        torch.equal(getattr(one, key), getattr(two, key))
        for key in ('ids', 'const', 'value')
    )
