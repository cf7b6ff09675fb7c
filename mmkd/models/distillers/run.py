"""What the networks of a distiller give for one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.parts import Named
from mmkd.taps import Tensors


@dataclass(frozen=True)
class Run:
    """What one pass of all networks gave.

    Args:
        losses: log name -> own loss of a network.
        tensors: label of a role -> name -> tensor.
        batch: what else losses may ask for.
        images: that the (first) student saw.
    """

    losses: dict[str, Any]
    tensors: Named
    batch: Batch
    images: torch.Tensor


@dataclass(frozen=True)
class Observation:
    """What all roles give for some images, without a step.

    Args:
        outputs: label of a role -> its network's raw output.
        tensors: label of a role -> name -> tensor.
        view_labels: labels of the views, if there are views.
        batch: what losses may ask for beside the tensors.
    """

    outputs: dict[str, Any]
    tensors: dict[str, dict[str, Tensors]]
    view_labels: torch.Tensor | None = None
    batch: Batch | None = None
