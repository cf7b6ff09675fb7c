"""Few-shot evaluation: episodes with the nearest class mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from mmkd.evaluation.features import Features


@dataclass(frozen=True)
class FewShotResult:
    """Accuracies in percent.

    Args:
        accuracies: (episodes,), one of each episode.
        mean: over episodes.
        interval: half width of the 95 % interval, 1.96 s / sqrt(episodes),
            s the sample standard deviation.
    """

    accuracies: torch.Tensor
    mean: float
    interval: float


def few_shot_eval(
    features: Features,
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    episodes: int = 600,
    seed: int = 0,
) -> FewShotResult:
    """Classify queries by the nearest of class means, by cosine.

    Each episode draws ``ways`` classes and, of each, ``shots`` + ``queries``
    images, all without replacement. Features have unit length; a class is
    the mean of its shots.

    Args:
        features: of images of classes that the network was not trained on.
        ways: classes N of an episode.
        shots: labelled images K of each class.
        queries: images of each class to classify.
        episodes: number of episodes.
        seed: of the draws.

    Raises:
        ValueError: a number is too small, or there are too few classes or
            images of a class.
    """
    numbers = dict(ways=ways, shots=shots, queries=queries, episodes=episodes)
    for name, least in dict(ways=2, shots=1, queries=1, episodes=2).items():
        if numbers[name] < least:
            raise ValueError(
                f'few-shot evaluation: {name}={numbers[name]} must be at '
                f'least {least}'
            )
    rows_of = _rows_by_class(features, ways, shots + queries)
    unit = F.normalize(features.feats, dim=1)
    generator = torch.Generator().manual_seed(seed)
    accuracies = torch.stack(
        [
            _episode(unit, rows_of, ways, shots, queries, generator)
            for _ in range(episodes)
        ]
    )
    spread = float(accuracies.std(unbiased=True))
    return FewShotResult(
        accuracies=accuracies,
        mean=float(accuracies.mean()),
        interval=1.96 * spread / math.sqrt(episodes),
    )


def _rows_by_class(
    features: Features, ways: int, needed: int
) -> list[torch.Tensor]:
    """Rows of every class that has images."""
    rows_of = []
    for label in features.labels.unique().tolist():
        rows = (features.labels == label).nonzero()[:, 0]
        if len(rows) < needed:
            name = features.classes[label] if features.classes else label
            raise ValueError(
                f'few-shot evaluation: class {name} has {len(rows)} images, '
                f'an episode needs {needed} (shots + queries); leave the '
                'class out or lower queries'
            )
        rows_of.append(rows)
    if len(rows_of) < ways:
        raise ValueError(
            f'few-shot evaluation: ways={ways}, but the data have '
            f'{len(rows_of)} classes; lower ways or choose more classes'
        )
    return rows_of


def _episode(
    unit: torch.Tensor,
    rows_of: list[torch.Tensor],
    ways: int,
    shots: int,
    queries: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Accuracy of one episode in percent."""
    chosen = torch.randperm(len(rows_of), generator=generator)[:ways].tolist()
    drawn = []
    for index in chosen:
        rows = rows_of[index]
        order = torch.randperm(len(rows), generator=generator)
        drawn.append(rows[order[: shots + queries]])
    feats = unit[torch.stack(drawn)]  # (ways, shots + queries, D)
    means = F.normalize(feats[:, :shots].mean(dim=1), dim=1)
    scores = feats[:, shots:] @ means.T  # (ways, queries, ways)
    right = scores.argmax(dim=2) == torch.arange(ways)[:, None]
    return 100.0 * right.float().mean()
