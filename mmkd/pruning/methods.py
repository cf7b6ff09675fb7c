"""The methods of the family as three schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmkd.pruning.schedules import (
    Schedule,
    alpha_at,
    hard_ratio_at,
    rate_at,
)

# method -> (rate schedule, decay of pruned filters, hard ratio)
METHODS: dict[str, tuple[Schedule, dict[str, float] | None, str | None]] = (
    dict(
        sfp=('constant', None, None),
        asfp=('exponential', None, None),
        srfp=('constant', {}, None),
        asrfp=('exponential', {}, None),
        ghfp=('exponential', None, 'cubic'),
    )
)
METHOD = 'method'  # stands for "what the method says"
MIN_ALPHA = 1e-4  # smaller factors of weights count as 0, as published


@dataclass(frozen=True)
class PruningSchedule:
    """What is pruned how much at step t of T.

    Args:
        rate: schedule of the rate, see `rate_at`.
        decay: arguments of `alpha_at`; None zeroes pruned filters.
        hard_ratio: share of pruned filters that may not recover: None (all
            may), ``'cubic'`` (0 to 1, see `hard_ratio_at`), or a number.

    Raises:
        ValueError: a parameter is unknown or out of range.
    """

    rate: Schedule = 'constant'
    decay: Mapping[str, float] | None = None
    hard_ratio: str | float | None = None

    def __post_init__(self) -> None:
        """Check all parameters."""
        rate_at(0, 2, 0.0, self.rate)
        known = ('alpha0', 'sigma', 'zero_from')
        unknown = sorted(set(self.decay or {}) - set(known))
        if unknown:
            raise ValueError(
                f'decay has no {", ".join(unknown)}; it takes '
                f'{", ".join(known)}, or is None'
            )
        alpha_at(0, 2, **(self.decay or {}))
        ratio = self.hard_ratio
        if not (
            ratio in (None, 'cubic')
            or (isinstance(ratio, int | float) and 0 <= ratio <= 1)
        ):
            raise ValueError(
                f'hard_ratio={ratio!r} must be None, "cubic" or a number '
                'from 0 to 1'
            )

    @classmethod
    def of_method(
        cls,
        method: str,
        rate: Any = METHOD,
        decay: Any = METHOD,
        hard_ratio: Any = METHOD,
    ) -> PruningSchedule:
        """Return the schedules of ``method``, those given replaced.

        Raises:
            ValueError: the method is unknown.
        """
        if method not in METHODS:
            raise ValueError(
                f'method={method!r} is unknown; use one of '
                f'{", ".join(METHODS)}'
            )
        given = (rate, decay, hard_ratio)
        values: list[Any] = [
            own if value == METHOD else value
            for value, own in zip(given, METHODS[method], strict=True)
        ]
        return cls(*values)

    def rate_at(self, t: int, T: int, target: float) -> float:
        """Return the pruning rate of a layer with the final rate given."""
        return rate_at(t, T, target, self.rate)

    def alpha_at(self, t: int, T: int) -> float:
        """Return the factor of pruned filters."""
        return 0.0 if self.decay is None else alpha_at(t, T, **self.decay)

    def hard_ratio_at(self, t: int, T: int) -> float:
        """Return the share of pruned filters that may not recover."""
        if self.hard_ratio == 'cubic':
            return hard_ratio_at(t, T)
        return float(self.hard_ratio or 0.0)

    def is_final(self, t: int, T: int) -> bool:
        """Return whether weights masked at t are those of a pruned network.

        That is the case once the rate is the final one and the factor 0.
        """
        rate_is_final = self.rate_at(t, T, 0.5) == 0.5
        return rate_is_final and self.alpha_at(t, T) < MIN_ALPHA
