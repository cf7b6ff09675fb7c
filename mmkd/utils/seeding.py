"""Random numbers that follow from a few integers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

#: what the numbers are for; distinct streams never meet
STREAMS = dict(data=0, model=1, val=2, sample=3, val_sample=4)


def seed_generators(*entropy: int, devices: bool = True) -> None:
    """Seed Python, NumPy and torch from ``entropy``.

    Args:
        entropy: non-negative integers; each tuple is a stream of its own.
        devices: seed the generators of accelerators, too.
    """
    first, second = np.random.SeedSequence(entropy).generate_state(2)
    random.seed(int(first))
    np.random.seed(int(first))
    if devices and _has_accelerator():
        torch.manual_seed(int(second))
    else:  # a hundred times as fast
        torch.default_generator.manual_seed(int(second))


@contextmanager
def kept_generators() -> Iterator[None]:
    """Leave the generators of Python, NumPy and the CPU as they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _has_accelerator() -> bool:
    return (
        torch.cuda.is_available()
        or torch.backends.mps.is_available()
        or torch.xpu.is_available()
    )
