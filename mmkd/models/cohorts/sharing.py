"""Shared trunks: modules that several peers hold, run once per view."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class SharedPart:
    """Modules that some peers share.

    Args:
        paths: of the modules, in forward order; the output of the last one
            is where the peers part.
        peers: indices of the peers that hold them.
        branches: into how many the way of the data parts after it.
    """

    paths: tuple[str, ...]
    peers: tuple[int, ...]
    branches: int


class _ScaleGradient(torch.autograd.Function):
    """Identity forward; the gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad * ctx.factor, None


class SharedRun:
    """Runs every shared module once per view and replays its output.

    While `active`, the shared modules answer from memory where another peer
    has already run them on the same view. The k-th call of a module is
    answered by the k-th output, so a network may call it several times.

    Args:
        networks: the peers.
        parts: the shared parts.
        scale_gradient: divide the gradient that flows back into a part by
            its number of branches (CL-ILR).

    Attributes:
        first_only: only the first peer of a part sends gradients into it.
    """

    def __init__(
        self,
        networks: nn.ModuleList,
        parts: Sequence[SharedPart],
        scale_gradient: bool = False,
    ) -> None:
        self._networks = networks
        self.parts = tuple(parts)
        self.scale_gradient = scale_gradient
        self.first_only = False
        self._peer = -1
        self._outputs: dict[Any, list[tuple[Any, int | None]]] = {}
        self._calls: dict[Any, int] = {}
        self._view: Any = None

    @contextmanager
    def active(self) -> Iterator[SharedRun]:
        """Answer from memory during the ``with`` block."""
        self._outputs = defaultdict(list)
        self._peer = -1
        patched: list[nn.Module] = []
        try:
            for part in self.parts:
                for path in part.paths:
                    module = self._one_module(part, path)
                    self._patch(module, part, path)
                    patched.append(module)
            yield self
        finally:
            for module in patched:
                del module.forward
            self._outputs = {}

    def next_peer(self, view: Any = None) -> None:
        """Say that the next peer starts, on a view of this name."""
        self._peer += 1
        self._calls = defaultdict(int)
        self._view = view

    def _one_module(self, part: SharedPart, path: str) -> nn.Module:
        """Return the module at ``path``, one object for all peers.

        A conversion (to SyncBN, say) replaces it peer by peer.
        """
        first, *others = [self._networks[k] for k in part.peers]
        module = first.get_submodule(path)
        parent, _, name = path.rpartition('.')
        for network in others:
            if network.get_submodule(path) is not module:
                setattr(network.get_submodule(parent), name, module)
        return module

    def _patch(self, module: nn.Module, part: SharedPart, path: str) -> None:
        compute = module.forward
        last = path == part.paths[-1]
        name = (part.peers, path)

        def answer(*args: Any, **kwargs: Any) -> Any:
            kept = self._outputs[name, self._view]
            call = self._calls[name]
            self._calls[name] += 1
            if call == len(kept):
                output = compute(*args, **kwargs)
                kept.append((output, _version(output)))
            output, version = kept[call]
            if not last:
                return output
            if version is not None and _version(output) != version:
                raise RuntimeError(
                    f'cohort.shared: the output of {path}, the last shared '
                    'module, is changed in place by the layer that follows '
                    'it; share that layer (an activation, say) as well, or '
                    'make it not in place'
                )
            if self.first_only and self._peer != part.peers[0]:
                return _each(output, torch.Tensor.detach)
            if self.scale_gradient and torch.is_grad_enabled():
                factor = 1.0 / part.branches
                return _each(output, lambda x: _ScaleGradient.apply(x, factor))
            return output

        module.forward = answer


def _each(output: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Return what a module gave with every tensor in it changed."""
    if isinstance(output, torch.Tensor):
        return change(output)
    if isinstance(output, (tuple, list)):
        return type(output)(_each(entry, change) for entry in output)
    return output


def _version(output: Any) -> int | None:
    if isinstance(output, torch.Tensor) and not output.is_inference():
        return output._version
    return None


Tree = Sequence[Any]


def leaves(tree: Any) -> list[int]:
    """Return the peer indices of a tree of nested lists."""
    if isinstance(tree, int):
        return [tree]
    return [leaf for child in tree for leaf in leaves(child)]


def nodes_by_level(tree: Tree) -> list[list[Tree]]:
    """Return the inner nodes of ``tree``, level by level from the root.

    Raises:
        ValueError: the leaves are at unequal depth.
    """
    levels: list[list[Tree]] = []
    level: list[Any] = [tree]
    while level:
        inner = [node for node in level if not isinstance(node, int)]
        if not inner:
            break
        if len(inner) != len(level):
            raise ValueError(
                f'cohort.tree={tree}: all peers must be at the same depth, '
                'e.g. [[0, 1], [2, 3]]'
            )
        levels.append(inner)
        level = [child for node in inner for child in node]
    return levels
