"""Why a cascade decided as it did: parts that add up to logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmkd.models.classifiers.activation import class_evidence
from mmkd.models.classifiers.proposals import (
    choose_windows,
    linear_weights,
)
from mmkd.utils.modes import evaluating


@dataclass(frozen=True)
class Proposal:
    """What a proposal network points at in one image.

    Args:
        label: the class that it predicts.
        boxes: (K, 4), y1, x1, y2, x2, the windows in the order of looking.
        scores: (K,), the evidence of each window for ``label``.
        evidence: (gh, gw), what each window adds to the logit of ``label``,
            of the last branch.
        bias: of that class; with the sum of ``evidence`` the logit.
    """

    label: int
    boxes: np.ndarray
    scores: np.ndarray
    evidence: np.ndarray
    bias: float


@dataclass(frozen=True)
class Explanation:
    """What a cascade saw in one image.

    Args:
        label: the class that was decided for.
        stage: at which it left, from 1.
        boxes: (K, 4), y1, x1, y2, x2, the windows in the order of looking.
        scores: (K,), the evidence of each window for ``proposed``.
        contributions: (M,), what the whole image and each patch add to the
            logit of ``label``.
        confidences: (M,), of the sums after every stage.
        proposed: the class of the proposal network.
        evidence: (gh, gw), what each window adds to the proposal network's
            logit of ``proposed``, of its last branch.
        bias: of that class; with the sum of ``evidence`` the logit.
    """

    label: int
    stage: int
    boxes: np.ndarray
    scores: np.ndarray
    contributions: np.ndarray
    confidences: np.ndarray
    proposed: int
    evidence: np.ndarray
    bias: float

    @property
    def logit(self) -> float:
        """Logit of ``label`` that decided: the sum up to ``stage``."""
        return float(self.contributions[: self.stage].sum())

    @property
    def proposal_logit(self) -> float:
        """Logit of ``proposed``: all evidence and the bias."""
        return float(self.evidence.sum() + self.bias)


@torch.no_grad()
def propose(model: Any, image: Tensor) -> Proposal:
    """Choose the windows of one image (1, 3, H, W), with their scores.

    Args:
        model: with ``proposal`` and ``selector``, in eval mode.
        image: as the networks are shown it.
    """
    network = model.proposal
    (*_, features) = network.extract_feat(image, stage='backbone')
    label = int(network(image)[0].argmax())
    weight = linear_weights(network)[-1][label][None]
    cells = features.shape[2] * features.shape[3]
    evidence = class_evidence(features, weight)[0, 0] / cells
    boxes = choose_windows(network, model.selector, image)[0][0]
    layers = getattr(network.head, 'fcs', None) or [network.head.fc]
    bias = layers[-1].bias
    return Proposal(
        label=label,
        boxes=boxes.cpu().numpy(),
        scores=_at(evidence, boxes[:, :2] // network.backbone.stride),
        evidence=evidence.double().cpu().numpy(),
        bias=0.0 if bias is None else float(bias[label]),
    )


def explain(cascade: Any, image: Tensor) -> Explanation:
    """Take the decision for one image (1, 3, H, W) apart."""
    with evaluating(cascade):
        logits, stages = cascade.run(image)
        stage, label = int(stages[0]), int(logits[0].argmax())
        total = cascade.stage_logits(image)[0]
        single = torch.diff(total, dim=0, prepend=torch.zeros_like(total[:1]))
        found = propose(cascade, image)
    return Explanation(
        label=label,
        stage=stage,
        boxes=found.boxes,
        scores=found.scores,
        contributions=single[:, label].double().cpu().numpy(),
        confidences=total.softmax(-1).amax(-1).cpu().numpy(),
        proposed=found.label,
        evidence=found.evidence,
        bias=found.bias,
    )


def _at(evidence: Tensor, corners: Tensor) -> np.ndarray:
    """Values at cells; windows of other scales get the nearest cell's."""
    limits = torch.tensor(evidence.shape, device=corners.device) - 1
    rows, columns = torch.minimum(corners, limits).T
    values: np.ndarray = evidence[rows, columns].double().cpu().numpy()
    return values
