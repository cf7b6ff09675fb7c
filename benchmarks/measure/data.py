"""Images per second of data paths, measured in turns."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np


@dataclass(frozen=True)
class DataPath:
    """Times of one data path.

    Attributes:
        seconds: process CPU seconds per image, one value per round.
    """

    seconds: list[float]

    @property
    def images_per_second(self) -> float:
        """Images per second and core of the fastest round."""
        return 1 / min(self.seconds)


def measure(
    paths: Mapping[str, Callable[[], Iterator[int]]],
    rounds: int = 10,
    batches: int = 10,
) -> dict[str, DataPath]:
    """Time data paths in turns, so that other load meets all of them.

    CPU time of this process counts: with one thread and no worker process
    it is the time of one core.

    Args:
        paths: name -> function that starts an endless iterator; each step
            makes one batch and yields its number of images.
        rounds: how often each path has its turn.
        batches: batches in a turn.

    Returns:
        name -> times.
    """
    iterators = {name: start() for name, start in paths.items()}
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for iterator in iterators.values():
        next(iterator)  # what happens once
    for _ in range(rounds):
        for name, iterator in iterators.items():
            begin = time.process_time()
            images = sum(next(iterator) for _ in range(batches))
            seconds[name].append((time.process_time() - begin) / images)
    return {name: DataPath(values) for name, values in seconds.items()}


def ratios(slow: DataPath, fast: DataPath) -> dict[str, float]:
    """Return how many times as many images ``fast`` gives.

    Returns:
        ``fastest``: of the fastest rounds; ``rounds``: median of the ratios
        within each round.
    """
    pairs = zip(slow.seconds, fast.seconds, strict=True)
    return dict(
        fastest=fast.images_per_second / slow.images_per_second,
        rounds=median(first / second for first, second in pairs),
    )


def write_noise_archive(root: Path, num_images: int) -> None:
    """Write files like those of CIFAR-100 with random pixels and labels."""
    rng = np.random.default_rng(0)
    folder = root / 'cifar-100-python'
    folder.mkdir(parents=True)
    for split, count in (('train', num_images), ('test', 100)):
        entry: dict[str, Any] = dict(
            data=rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            fine_labels=rng.integers(0, 100, count).tolist(),
        )
        (folder / split).write_bytes(pickle.dumps(entry, protocol=2))
    (folder / 'meta').write_bytes(pickle.dumps({}, protocol=2))
