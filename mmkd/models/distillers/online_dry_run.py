"""A rehearsal of a cohort at build time, before data is loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import nn

from mmkd.models.distillers.dry_run import (
    BATCH,
    SIDE,
    CannotRehearseError,
    DummyBatch,
    SideReport,
    default_shape,
    rehearse,
    rows_per_image,
)
from mmkd.models.distillers.shrink import Shrink, shapes_of
from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.transfer import CohortSpec
from mmkd.utils.meta_copy import meta_copy
from mmkd.utils.modes import evaluating

if TYPE_CHECKING:
    from mmkd.models.distillers.online import OnlineDistiller


@dataclass
class PeerReport(SideReport):
    """What the rehearsal saw of one peer.

    Args:
        input_shape: (C, H, W).
        tensors: small random tensors in place of its taps and heads.
    """

    input_shape: tuple[int, ...] = ()
    tensors: dict[str, Any] | None = None


@dataclass(frozen=True)
class NamedShapes:
    """Shapes of all named tensors of the peers."""

    num_peers: int
    shapes: Sequence[Mapping[str, Any]]
    num_classes: int | None

    def of(self, on: Mapping[str, str]) -> CohortSpec:
        """Return what an exchange reading ``on`` may build from."""
        roles = [
            {role: seen[name] for role, name in on.items() if name in seen}
            for seen in self.shapes
        ]
        return CohortSpec(self.num_peers, roles, self.num_classes)


def rehearse_peers(
    distiller: OnlineDistiller, input_shape: Sequence[int] | None
) -> list[PeerReport] | None:
    """Run every peer without storage and note the shapes of its taps.

    Returns:
        One report per peer; None if a network did not run.

    Raises:
        ValueError: a module before the last shared one is not shared.
    """
    shape = tuple(input_shape or default_shape(distiller))
    rows = BATCH * rows_per_image(distiller)
    reports = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            for peer, taps in zip(
                distiller.cohort.peers, distiller.taps, strict=True
            ):
                side = rehearse(peer, taps, rows, shape)
                reports.append(
                    PeerReport(side.multiply_adds, side.taps, shape)
                )
        except CannotRehearseError as error:
            print_log(
                f'dry run skipped: a peer did not run on an input of '
                f'{(rows, *shape)} ({error}); give model.input_shape='
                '(C, H, W), or dry_run=False',
                logger='current',
                level=logging.WARNING,
            )
            return None
        shrink = Shrink([report.taps for report in reports], shape, SIDE)
        for report in reports:
            report.tensors = {
                name: shrink(value) for name, value in report.taps.items()
            }
    parts = distiller.cohort.sharing.parts
    shared = [path for part in parts for path in part.paths]
    for index in {part.peers[0] for part in parts}:
        order = _layers_in_order(distiller.cohort[index], rows, shape)
        for part in parts:
            if part.peers[0] == index:
                _check_starts_at_input(order, part.paths, shared)
    return reports


def _layers_in_order(
    peer: nn.Module, rows: int, shape: tuple[int, ...]
) -> list[str]:
    """Return the names of the layers with weights, as they run."""
    clone = meta_copy(peer).eval()
    order: list[str] = []
    for name, module in clone.named_modules():
        if not list(module.children()) and list(module.parameters()):
            module.register_forward_hook(
                lambda *_, name=name: order.append(name)
            )
    with torch.no_grad():
        clone(torch.empty(rows, *shape, device='meta'), None, mode='tensor')
    return order


def _check_starts_at_input(
    order: Sequence[str], paths: Sequence[str], shared: Sequence[str]
) -> None:
    """Refuse a shared module that a module with own weights precedes."""

    def belongs(name: str, to: Sequence[str]) -> bool:
        return any(f'{name}.'.startswith(f'{path}.') for path in to)

    inside = [k for k, name in enumerate(order) if belongs(name, paths)]
    for name in order[: max(inside, default=0)]:
        if not belongs(name, shared):
            raise ValueError(
                f'cohort.shared: {paths[-1]} is shared, but {name}, which '
                'runs before it, is not; what is shared starts at the '
                'input: add it'
            )


def cohort_spec(
    distiller: OnlineDistiller, report: Sequence[PeerReport] | None
) -> NamedShapes:
    """Return the shapes that exchanges build their parts from."""
    shapes = []
    for peer in report or ():
        seen = {}
        for name, value in (peer.tensors or {}).items():
            # true sizes where the rehearsal saw them
            value = peer.taps.get(name, value)
            seen[name] = (
                value.shape
                if isinstance(value, torch.Tensor)
                else [entry.shape for entry in value]
            )
        shapes.append(seen)
    return NamedShapes(
        len(distiller.cohort), shapes, distiller.cohort.num_classes
    )


def try_exchanges(
    distiller: OnlineDistiller, report: Sequence[PeerReport]
) -> None:
    """Run every exchange on small random tensors.

    Raises:
        ValueError: an exchange refuses its tensors.
    """
    for exchange in distiller.exchanges:
        peers = []
        for peer in report:
            tensors = peer.tensors or {}
            if not set(exchange.on.values()) <= set(tensors):
                break  # a module that runs in training alone
            peers.append(
                {role: tensors[name] for role, name in exchange.on.items()}
            )
        if len(peers) < len(report) or not exchange.ready:
            continue
        first = next(iter(peers[0].values()))
        first = first if isinstance(first, torch.Tensor) else first[0]
        size = (len(first), *first.shape[2:])
        batch = DummyBatch(size, len(first))
        try:
            with evaluating(exchange), torch.random.fork_rng(devices=[]):
                aux = exchange.auxiliary(peers, batch)
                _check_names(exchange, aux)
                for phase in (None, *exchange.phases):
                    exchange(peers, batch, phase, aux)
        except KeyError as error:
            raise KeyError(
                f'exchange {type(exchange).__name__} asks for {error}, but '
                f'it is given {", ".join(exchange.on)}: name it in '
                'exchange.on'
            ) from error
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            seen = [
                f'peer{k} {role} {shapes_of(report[k].taps.get(name))}'
                for k in range(len(report))
                for role, name in exchange.on.items()
            ]
            raise ValueError(
                f'exchange {type(exchange).__name__} does not fit its '
                f'tensors [{"; ".join(seen)}]: {error} (found by the dry '
                'run; model.dry_run=False skips it)'
            ) from error


def _check_names(exchange: Exchange, aux: Mapping[str, Any]) -> None:
    if set(aux) != set(exchange.auxiliary_names):
        raise ValueError(
            f'auxiliary() gives {", ".join(aux) or "nothing"}, but '
            f'auxiliary_names is {exchange.auxiliary_names}: name the same'
        )
