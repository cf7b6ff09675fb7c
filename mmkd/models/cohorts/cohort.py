"""A cohort: peers, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from mmkd.preprocessors import require_same_channels
from mmkd.registry import MODELS
from mmkd.taps import find_module
from mmkd.tasks import common_classes
from mmkd.utils.state_hooks import confine_hooks


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
        ValueError: one peer only, unequal numbers of classes or of channels
            of the images, a shared stage that is no prefix, or shared
            modules of unequal shape.
    """

    #: whether a run writes the config of a peer beside its weights
    writes_configs = False

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
            confine_hooks(peer)
            if isinstance(peer, nn.Module)
            else build_network(network_dict(peer))
            for peer in peers
        )
        _require_distinct(self.peers)
        require_same_channels(self.peers)
        self.num_classes = common_classes(self.peers)
        parts = self._share(shared, tree)
        self.sharing = SharedRun(self.peers, parts, scale_gradient)

    @classmethod
    def peer_configs(cls, config: Mapping[str, Any]) -> list[Any]:
        """Return the networks of a cohort's config, peer by peer.

        What a run trained is asked of this method alone, by every tool; a
        cohort that is written in another way overrides it and `map_peers`.
        """
        return list(config['peers'])

    @classmethod
    def map_peers(
        cls, config: Mapping[str, Any], change: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """Return the config with every network changed.

        ``peer`` is the one network that a cohort makes its peers of.
        """
        if isinstance(config.get('peer'), (str, dict)):
            return dict(config, peer=change(config['peer']))
        peers = config.get('peers')
        if not isinstance(peers, (list, tuple)):
            return dict(config)  # refused when it is built
        return dict(config, peers=[change(peer) for peer in peers])

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
