"""The rule of an early exit, on a table of confidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ExitTable:
    """What a cascade says of a data set at every stage.

    Args:
        confidence: (N, M), largest softmax of the logits summed so far.
        correct: (N, M), bool, whether that class is right.

    Raises:
        ValueError: the shapes differ, or it is empty.
    """

    confidence: np.ndarray
    correct: np.ndarray

    def __post_init__(self) -> None:
        shape = self.confidence.shape
        if shape != self.correct.shape or len(shape) != 2 or 0 in shape:
            raise ValueError(
                f'table: confidence {shape} and correct '
                f'{self.correct.shape} must both be (images, stages)'
            )

    @property
    def num_stages(self) -> int:
        """M."""
        return self.confidence.shape[1]


@dataclass(frozen=True)
class ExitResult:
    """What thresholds give on a table.

    Args:
        thresholds: of the stages.
        stage_count: images that leave at each stage.
        stage_correct: of these, those that are right.
        accuracy: share of images that are right.
        cost: mean cost of an image.
    """

    thresholds: tuple[float, ...]
    stage_count: tuple[int, ...]
    stage_correct: tuple[int, ...]
    accuracy: float
    cost: float

    def worth(self, price: float) -> float:
        """Return the accuracy less the cost at a price."""
        return self.accuracy - price * self.cost


def exit_stages(
    confidence: np.ndarray, thresholds: Sequence[float]
) -> np.ndarray:
    """Return the stage, from 0, at which each image leaves.

    That is the first one with a confidence above its threshold, or the
    last.

    Shape:
        confidence: (N, M).
        thresholds: M; that of the last stage is not asked.
        returns: (N,), int64.

    Raises:
        ValueError: another number of thresholds.
    """
    if len(thresholds) != confidence.shape[1]:
        raise ValueError(
            f'thresholds: {len(thresholds)} for {confidence.shape[1]} '
            'stages; give one for each (the last is never asked)'
        )
    # in the precision of the confidences, as the cascade compares
    leaves = confidence > np.asarray(thresholds, confidence.dtype)
    leaves[:, -1] = True
    return leaves.argmax(1)


def apply_thresholds(
    table: ExitTable,
    thresholds: Sequence[float],
    costs: Sequence[float],
) -> ExitResult:
    """Return accuracy and mean cost of a cascade with these thresholds.

    Args:
        table: from a pass over the data.
        thresholds: of the stages.
        costs: of an image that leaves after stage 1, 2, ..., M, in any
            unit.

    Raises:
        ValueError: numbers of stages differ.
    """
    if len(costs) != table.num_stages:
        raise ValueError(
            f'costs: {len(costs)} for {table.num_stages} stages; give one '
            'for each'
        )
    stages = exit_stages(table.confidence, thresholds)
    right = np.take_along_axis(table.correct, stages[:, None], 1)[:, 0]
    count = np.bincount(stages, minlength=table.num_stages)
    hits = np.bincount(stages[right], minlength=table.num_stages)
    total = len(stages)
    return ExitResult(
        thresholds=tuple(float(t) for t in thresholds),
        stage_count=tuple(count.tolist()),
        stage_correct=tuple(hits.tolist()),
        accuracy=float(hits.sum() / total),
        cost=float(np.dot(count, np.asarray(costs, np.float64)) / total),
    )


def fixed_exit(num_stages: int, stage: int) -> tuple[float, ...]:
    """Return thresholds by which everything leaves at ``stage``, from 0."""
    never = (2.0,) * stage
    return (*never, *(0.0,) * (num_stages - stage))
