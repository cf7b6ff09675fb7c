"""Which channels stay."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from mmkd.pruning.compaction.graph import ChannelGraph, Reader
from mmkd.pruning.compaction.modules import is_depthwise, submodule


class Choice:
    """Which channels of a graph stay, and why zero ones do.

    A channel goes if it is constant wherever channels are mixed. Of these,
    some stay all the same: the carriers of constants that padding touches,
    one channel of a layer that would be empty, and those that make widths
    equal among groups or a multiple of ``divisor``.

    Args:
        graph: filled.
        network: that it is of.
        divisor: widths that shrink become a multiple of it.

    Attributes:
        carriers: source layer -> indices of its carriers.
        emptied: source layers all of whose filters are zero.
    """

    def __init__(
        self, graph: ChannelGraph, network: nn.Module, divisor: int = 1
    ) -> None:
        self.graph = graph
        self.network = network
        self.roots = graph.roots()
        self.reasons: dict[int, str] = {}
        self._coupled = {
            root
            for pair in graph.pairs
            for ids in pair
            for root in self.roots[ids].tolist()
        }
        self.kept = self._needed()
        self._strength = self._constants()
        self._carriers = torch.zeros(graph.size, dtype=torch.bool)
        self.emptied: list[str] = []
        while self._add_kept(divisor):
            pass

    def keeps(self, ids: torch.Tensor) -> torch.Tensor:
        """Return which of ``ids`` stay, bool."""
        if not len(self.roots):
            return torch.ones(len(ids), dtype=torch.bool)
        kept = self.kept[self.roots[ids.clamp(min=0)]]
        return kept | (ids < 0)

    def carriers(self, ids: torch.Tensor) -> list[int]:
        """Return the positions of carriers in ``ids``."""
        if not len(self.roots):
            return []
        carrier = self._carriers[self.roots[ids.clamp(min=0)]] & (ids >= 0)
        return carrier.nonzero().flatten().tolist()

    def reason(self, ids: torch.Tensor) -> str | None:
        """Return why ``ids`` stay although some could be zero."""
        for root in self.roots[ids].tolist():
            if root in self.reasons:
                return self.reasons[root]
        return None

    def _needed(self) -> torch.Tensor:
        """Return the roots that are read somewhere as no constant."""
        kept = torch.zeros(self.graph.size, dtype=torch.bool)
        seen = torch.zeros_like(kept)
        for name, reader in self.graph.readers.items():
            ids = reader.channels.ids
            used = ~reader.channels.const & (ids >= 0)
            for root in self.roots[ids[used]].tolist():
                kept[root] = True
                self.reasons.setdefault(root, self._varies(name, root))
            seen[self.roots[ids[ids >= 0]]] = True
        for ids, reason in self.graph.blocked:
            for root in self.roots[ids].tolist():
                kept[root] = True
                self.reasons[root] = reason
        for root in (~seen).nonzero().flatten().tolist():
            kept[root] = True
            if int(self.roots[root]) == root:
                self.reasons.setdefault(root, 'no layer that reads it found')
        return kept

    def _varies(self, name: str, root: int) -> str:
        if root in self._coupled:
            return f'residual stream: other addends are not zero ({name})'
        return f'not constant where {name} reads it (zero padding)'

    def _constants(self) -> torch.Tensor:
        """Return the largest absolute value of each root at any reader."""
        strength = torch.zeros(self.graph.size, dtype=torch.float64)
        for reader in self.graph.readers.values():
            ids, value = reader.channels.ids, reader.channels.value.abs()
            tracked = ids >= 0
            strength.scatter_reduce_(
                0, self.roots[ids[tracked]], value[tracked], 'amax'
            )
        return strength

    def _add_kept(self, divisor: int) -> bool:
        """Keep what one more pass demands; whether there was any."""
        before = int(self.kept.sum())
        for reader in self.graph.readers.values():
            if not reader.foldable:
                self._keep_carriers(reader)
        for name, ids in self.graph.sources.items():
            if not self.keeps(ids).any():
                self._keep(ids, 1, 'kept: the layer would be empty')
                self.emptied.append(name)
        for ids, groups in self._grouped():
            parts = ids.view(groups, -1)
            counts = self.keeps(ids).view(groups, -1).sum(1)
            for part, count in zip(parts, counts.tolist(), strict=True):
                missing = int(counts.max()) - count
                self._keep(part, missing, 'kept: groups are equally wide')
        for ids in self.graph.sources.values():
            count = int(self.keeps(ids).sum())
            if count < len(ids):
                self._keep(ids, -count % divisor, f'kept: divisor {divisor}')
        return int(self.kept.sum()) > before

    def _keep_carriers(self, reader: Reader) -> None:
        """Keep one constant channel per group, where any is lost."""
        channels = reader.channels
        shape = (reader.groups, -1)
        for ids, const, value in zip(
            channels.ids.view(shape),
            channels.const.view(shape),
            channels.value.abs().view(shape),
            strict=True,
        ):
            keeps = self.keeps(ids)
            lost = value * ~keeps
            present = value * (keeps & const)
            if lost.max() > 0 and present.max() < 0.5 * lost.max():
                root = self.roots[ids[lost.argmax()]]
                self.kept[root] = self._carriers[root] = True

    def _grouped(self) -> Iterator[tuple[torch.Tensor, int]]:
        for reader in self.graph.readers.values():
            if reader.groups > 1:
                yield reader.channels.ids, reader.groups
        for name, ids in self.graph.sources.items():
            conv = submodule(self.network, name)
            if conv.groups > 1 and not is_depthwise(conv):
                yield ids, conv.groups

    def _keep(self, ids: torch.Tensor, count: int, reason: str) -> None:
        """Keep ``count`` more of ``ids``, those with the largest values."""
        roots = self.roots[ids[~self.keeps(ids)]].unique()
        order = self._strength[roots].argsort(descending=True, stable=True)
        for root in roots[order[:count]].tolist():
            self.kept[root] = True
            self.reasons[root] = reason
