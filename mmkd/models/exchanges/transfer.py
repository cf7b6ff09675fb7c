"""What an exchange is told, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Tensors = torch.Tensor | list[torch.Tensor]
# One mapping per peer: role -> tensor.
Peers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Transfer:
    """A learner is pulled to a target.

    Args:
        learner: index of a peer, or name of an auxiliary classifier.
        target: of the learner's logits' shape (a list, if those are one).
        weight: factor on this transfer.
    """

    learner: int | str
    target: Tensors
    weight: float = 1.0


@dataclass(frozen=True)
class CohortSpec:
    """What is known of a cohort before training.

    Args:
        num_peers: M.
        shapes: per peer, role -> shape (batch first) or list of shapes, as
            seen by the dry run; empty where it was skipped.
        num_classes: of the peers' heads; None where they have none.
        unseen: why the dry run was skipped, for messages.
    """

    num_peers: int
    shapes: Sequence[Mapping[str, Any]] = ()
    num_classes: int | None = None
    unseen: str = ''

    def channels(self, role: str) -> list[int]:
        """Return dim 1 of ``role`` for every peer.

        Raises:
            ValueError: the dry run did not see it.
        """
        found = [shapes.get(role) for shapes in self.shapes]
        if not found or not all(
            isinstance(shape, torch.Size) and len(shape) > 1 for shape in found
        ):
            raise ValueError(
                f'exchange: the number of channels of "{role}" is not known '
                'before training; give it in the exchange (in_channels), or '
                'model.input_shape for a dry run'
                + (f' ({self.unseen})' if self.unseen else '')
            )
        return [int(shape[1]) for shape in found if shape is not None]


class Batch(Protocol):
    """What an exchange may ask of a batch.

    ``batch['labels']``, ``['sample_idx']``, ``['epoch']``,
    ``['iteration']``; ``hard_loss`` is the task loss of the networks.
    """

    def __getitem__(self, name: str) -> Any:
        """Return a value of the batch by name."""

    def hard_loss(self, logits: Tensors) -> torch.Tensor:
        """Return the task loss (scalar) of ``logits``."""


def detached(tensors: Tensors) -> Tensors:
    """Return the tensor (or list of tensors) without its gradient."""
    if isinstance(tensors, torch.Tensor):
        return tensors.detach()
    return [tensor.detach() for tensor in tensors]


def mean_of(tensors: Sequence[Tensors]) -> Tensors:
    """Return the mean of equally shaped tensors (or lists of tensors)."""
    if isinstance(tensors[0], torch.Tensor):
        return torch.stack(list(tensors)).mean(0)  # type: ignore[arg-type]
    levels = zip(*tensors, strict=True)
    return [torch.stack(list(level)).mean(0) for level in levels]
