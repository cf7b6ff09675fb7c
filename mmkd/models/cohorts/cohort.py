"""A cohort: peers, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule, ModuleList
from torch import nn

from mmkd.models.cohorts.sharing import (
    SharedPart,
    SharedRun,
    leaves,
    nodes_by_level,
)
from mmkd.models.cohorts.stages import check_prefix, module_paths
from mmkd.networks import build_network, network_dict
from mmkd.registry import MODELS
from mmkd.taps import find_module


@MODELS.register_module()
class Cohort(BaseModule):
    """Peers that are trained together.

    Every peer is a complete ordinary network. Sharing replaces modules of
    later peers by those of the first one: their parameters count once, the
    state dict has them under every peer's name (so any peer alone loads
    strictly into its own repository), and they run once per view. Two
    options of mmengine count such parameters several times by default: give
    ``optim_wrapper.paramwise_cfg`` the key ``bypass_duplicate=True``, and
    leave ``update_buffers`` of ``EMAHook`` off.

    Args:
        peers: networks: config names, model dicts, or built networks.
        shared: names of the shared modules from the input on: ``'stem'``,
            ``'stage1'``, ... or module paths such as
            ``'backbone.layer1'``. With a ``tree`` of several levels, one
            list per level.
        tree: who shares with whom, as nested lists of peer indices, e.g.
            ``[[0, 1], [2, 3]]``; all share by default.
        scale_gradient: divide the gradient into a shared part by its number
            of branches.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError: one peer only, unequal class numbers, a shared stage that
            is no prefix, or shared modules of unequal shape.
    """

    def __init__(
        self,
        peers: Sequence[Any],
        shared: Sequence[Any] = (),
        tree: Sequence[Any] | None = None,
        scale_gradient: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if isinstance(peers, (str, dict)) or len(peers) < 2:
            count = 1 if isinstance(peers, (str, dict)) else len(peers)
            raise ValueError(
                f'cohort.peers has {count} network(s); peers teach each '
                'other: give at least two, e.g. peers=[network] * 2'
            )
        self.peers = ModuleList(
            peer
            if isinstance(peer, nn.Module)
            else build_network(network_dict(peer))
            for peer in peers
        )
        _require_distinct(self.peers)
        self.num_classes = _common_classes(self.peers)
        parts = self._share(shared, tree)
        self.sharing = SharedRun(self.peers, parts, scale_gradient)

    def __len__(self) -> int:
        """Return M, the number of peers."""
        return len(self.peers)

    def __getitem__(self, index: int) -> nn.Module:
        """Return peer ``index``."""
        return self.peers[index]

    def _share(
        self, shared: Sequence[Any], tree: Sequence[Any] | None
    ) -> list[SharedPart]:
        if isinstance(shared, str):
            raise TypeError(
                f"cohort.shared='{shared}' is text, not a list: write "
                f"shared=['{shared}']"
            )
        if not shared:
            if tree is not None:
                raise ValueError(
                    'cohort.tree is given, but cohort.shared is empty: name '
                    'what is shared, one list per level of the tree'
                )
            return []
        tree = list(range(len(self))) if tree is None else list(tree)
        if sorted(leaves(tree)) != list(range(len(self))):
            raise ValueError(
                f'cohort.tree={tree} must name every peer from 0 to '
                f'{len(self) - 1} once'
            )
        levels = nodes_by_level(tree)
        lists = [shared] if isinstance(shared[0], str) else shared
        if len(lists) != len(levels):
            raise ValueError(
                f'cohort.shared has {len(lists)} level(s), cohort.tree='
                f'{tree} has {len(levels)}: give one list of names per level'
            )
        check_prefix(
            self.peers[0], [name for names in lists for name in names]
        )
        return [
            self._share_part(list(names), node)
            for names, nodes in zip(lists, levels, strict=True)
            for node in nodes
        ]

    def _share_part(self, names: list[str], node: Sequence[Any]) -> SharedPart:
        first, *others = members = leaves(node)
        paths = module_paths(self.peers[first], names)
        for path in paths:
            module = find_module(self.peers[first], path, 'cohort.shared')
            for index in others:
                _replace(self.peers[index], path, module, index)
        return SharedPart(tuple(paths), tuple(members), len(node))


def _replace(
    network: nn.Module, path: str, module: nn.Module, index: int
) -> None:
    """Put ``module`` at ``path`` of ``network``."""
    old = find_module(network, path, 'cohort.shared')
    if _layout(old) != _layout(module):
        raise ValueError(
            f'cohort.shared: {path} of peer {index} differs from that of the '
            'peer it is shared with (other layers, widths or strides); share '
            'less, or give peers with the same first stages'
        )
    parent, _, name = path.rpartition('.')
    setattr(network.get_submodule(parent), name, module)


def _layout(module: nn.Module) -> list[str]:
    """Return layers, widths and strides of ``module`` as text."""
    return [
        line
        for line in str(module).splitlines()
        if not line.lstrip().startswith('init_cfg=')
    ] + [
        f'{name} {tuple(value.shape)}'
        for name, value in module.state_dict().items()
    ]


def _require_distinct(peers: Sequence[nn.Module]) -> None:
    for index, peer in enumerate(peers):
        for other in range(index):
            if peer is peers[other]:
                raise ValueError(
                    f'cohort.peers: {other} and {index} are one and the '
                    'same module; give its config, or a copy'
                )


def _common_classes(peers: Sequence[nn.Module]) -> int | None:
    """Return the number of classes that all heads have."""
    counts = []
    for peer in peers:
        for key in ('decode_head', 'head', 'bbox_head'):
            head = getattr(peer, key, None)
            head = head[-1] if isinstance(head, nn.ModuleList) else head
            if head is not None:
                counts.append(getattr(head, 'num_classes', None))
                break
    known = {count for count in counts if count is not None}
    if len(known) > 1:
        raise ValueError(
            'all peers must predict the same classes; cohort.peers have '
            f'num_classes={counts}: correct the heads'
        )
    return known.pop() if known else None
