"""Runs the peers of a cohort and names what they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mmkd.models.distillers.batch import stack_labels
from mmkd.models.distillers.task_loss import loss_on_rows
from mmkd.models.exchanges.base import Exchange
from mmkd.taps import Tensors

if TYPE_CHECKING:
    from mmkd.models.distillers.online import OnlineDistiller


@dataclass
class PeersRun:
    """What one pass of all peers gave.

    Args:
        losses: the peers' own losses, ``peer0.loss_ce`` -> scalar.
        tensors: per peer, name of a tap or auxiliary head -> tensor.
        sources: name of a loss -> what it was computed from.
        view_labels: labels of the views, if there are views.
    """

    losses: dict[str, Any]
    tensors: list[dict[str, Tensors]]
    sources: dict[str, dict[str, Tensors]]
    view_labels: torch.Tensor | None = None


def views_of_peers(
    inputs: torch.Tensor | Sequence[torch.Tensor], count: int
) -> list[torch.Tensor]:
    """Return the images that each of ``count`` peers sees.

    Raises:
        ValueError: there is another number of views than of peers.
    """
    if isinstance(inputs, torch.Tensor):
        return [inputs] * count
    if len(inputs) != count:
        raise ValueError(
            f'the data pipeline gives {len(inputs)} views of each image, '
            f'the cohort has {count} peers: set num_views={count} in the '
            'data preprocessor (or in the transform MultiView)'
        )
    return list(inputs)


def run_peers(
    distiller: OnlineDistiller,
    views: Sequence[torch.Tensor],
    data_samples: list | None,
) -> PeersRun:
    """Run every peer on its view, shared trunks once per view."""
    run = PeersRun({}, [], {})
    rotated: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    with distiller.cohort.sharing.active() as sharing:
        for index, peer in enumerate(distiller.cohort.peers):
            view = views[index]
            sharing.next_peer(id(view))
            with distiller.taps[index].recording() as record:
                if distiller.views is None:
                    own = peer(view, data_samples, mode='loss')
                else:
                    if id(view) not in rotated:
                        labels = stack_labels(data_samples).to(view.device)
                        rotated[id(view)] = distiller.views(view, labels)
                    images, run.view_labels = rotated[id(view)]
                    rows = distiller.views.task_rows(len(view))
                    own = loss_on_rows(
                        peer, images, data_samples, rows, record
                    )
            run.tensors.append(distiller.named_tensors(index, record))
            for key, value in own.items():
                # mmengine logs the sum of all losses as "loss".
                name = f'peer{index}.{"loss_task" if key == "loss" else key}'
                if 'loss' in key:
                    value = _scaled(value, distiller.task_weights[index])
                    run.sources[name] = {'images': view}
                run.losses[name] = value
    return run


def roles_of(
    exchange: Exchange, tensors: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what an exchange reads: per peer, role -> tensor."""
    return [
        {role: own[name] for role, name in exchange.on.items()}
        for own in tensors
    ]


def sources_of(peers: Sequence[Mapping[str, Any]]) -> dict[str, Tensors]:
    """Return what an exchange read, for messages."""
    return {
        f'peer{index} {role}': tensor
        for index, roles in enumerate(peers)
        for role, tensor in roles.items()
    }


def _scaled(value: Any, weight: float) -> Any:
    if weight == 1.0:
        return value
    if isinstance(value, (list, tuple)):
        return [entry * weight for entry in value]
    return value * weight
