"""Stand-ins for a cohort and its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmkd.models.exchanges import CohortSpec, Exchange


class StubBatch(dict):
    """A batch whose task loss is the cross entropy."""

    def hard_loss(self, logits: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, self['labels'])


@pytest.fixture
def make_batch() -> Callable[..., StubBatch]:
    """``make_batch(labels, epoch=3)``."""

    def make(labels: Any = None, **values: Any) -> StubBatch:
        return StubBatch(labels=labels, **{'epoch': 0, **values})

    return make


@pytest.fixture
def cohort_of() -> Callable[..., list[dict[str, Any]]]:
    """``cohort_of(logits=[z0, z1], feats=[h0, h1])``: peers."""

    def make(**roles: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            dict(zip(roles, values, strict=True))
            for values in zip(*roles.values(), strict=True)
        ]

    return make


@pytest.fixture
def set_up() -> Callable[[Exchange, list[dict[str, Any]]], Exchange]:
    """Call ``setup`` of an exchange as the distiller does."""

    def shape(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.shape
        return [entry.shape for entry in value]

    def run(exchange: Exchange, peers: list[dict[str, Any]]) -> Exchange:
        shapes = [
            {role: shape(value) for role, value in peer.items()}
            for peer in peers
        ]
        exchange.setup(CohortSpec(len(peers), shapes))
        return exchange

    return run


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """Compare with an array: ``assert_close(value, array, rtol, atol)``."""

    def compare(
        value: torch.Tensor | float,
        expected: np.ndarray,
        rtol: float = 1e-5,
        atol: float = 3e-5,
    ) -> None:
        torch.testing.assert_close(
            torch.as_tensor(value).detach().double(),
            torch.as_tensor(expected).double(),
            rtol=rtol,
            atol=atol,
        )

    return compare
