"""Pruning rate, damping and hard ratio as functions of the step.

A step is an epoch, or an interval of iterations: t = 0, ..., T - 1. All
schedules reach their final value at t = T - 1, however short the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmkd.pruning.scores import check_rate

Schedule = str | Mapping[str, Any]

# type -> parameters and their defaults
RATE_SCHEDULES: dict[str, dict[str, float]] = dict(
    constant={},
    exponential=dict(D=1 / 8, y=0.75, clamp_from=0.95),
    polynomial={},
)
_TINY = 1e-7  # added to T in public code


def rate_at(
    t: int, T: int, target: float, schedule: Schedule = 'constant'
) -> float:
    """Return the pruning rate P(t) of step t.

    - ``'constant'``: P.
    - ``'exponential'``: P (1 - exp(-k t)), k = -ln(1 - y) / (D T): 0 at
      t = 0, y P at t = D T; P from ``clamp_from`` * T on.
    - ``'polynomial'``: P (1 - (1 - (t + 1) / T)^3).

    Args:
        t: step, from 0.
        T: number of steps.
        target: final rate P, in [0, 1).
        schedule: a type, or a dict of ``type`` and the parameters named
            above.

    Raises:
        ValueError: the step, the rate or the schedule is not valid.
    """
    _check_step(t, T)
    check_rate(target)
    kind, options = _parse_schedule(schedule)
    if kind == 'constant' or t >= T - 1:
        return target
    if kind == 'polynomial':
        return target * _cubic(t, T)
    if t >= options['clamp_from'] * T - 1e-9:
        return target
    k = -math.log(1 - options['y']) / (options['D'] * T)
    return target * (1 - math.exp(-k * t))


def alpha_at(
    t: int,
    T: int,
    alpha0: float = 1.0,
    sigma: float = 1e-5,
    zero_from: float = 0.9,
) -> float:
    """Return the factor alpha(t) of pruned filters at step t.

    alpha0 ((alpha0 + 0.01 sigma) / sigma)^(-t / T), which would be sigma at
    t = T; 0 from ``zero_from`` * T on.

    Args:
        t: step, from 0.
        T: number of steps.
        alpha0: factor at t = 0, in [0, 1]; 0 is SFP.
        sigma: in (0, alpha0).
        zero_from: share of the steps, in (0, 1].

    Raises:
        ValueError: the step or a parameter is out of range.
    """
    _check_step(t, T)
    if not 0 <= alpha0 <= 1:
        raise ValueError(
            f'decay.alpha0 must be in [0, 1], but is {alpha0}; 1 starts '
            'without damping, 0 zeroes at once'
        )
    if alpha0 and not 0 < sigma < alpha0:
        raise ValueError(
            f'decay.sigma must be in (0, alpha0={alpha0}), but is {sigma}; '
            'give e.g. sigma=1e-5'
        )
    _check_share('decay.zero_from', zero_from)
    if t >= T - 1 or t >= zero_from * T - 1e-9 or alpha0 == 0:
        return 0.0
    return alpha0 * ((alpha0 + 0.01 * sigma) / sigma) ** (-t / T)


def hard_ratio_at(t: int, T: int) -> float:
    """Return the share 1 - (1 - (t + 1) / T)^3 of filters pruned for good.

    Args:
        t: step, from 0.
        T: number of steps.

    Raises:
        ValueError: the step is out of range.
    """
    _check_step(t, T)
    return 1.0 if t >= T - 1 else _cubic(t, T)


def _check_step(t: int, T: int) -> None:
    if not 0 <= t < T:
        raise ValueError(
            f'pruning schedule: t={t} is no step of T={T}; steps are epochs, '
            'or intervals of iterations, from 0 to T - 1'
        )


def _cubic(t: int, T: int) -> float:
    return 1 - (1 - (t + 1) / (T + _TINY)) ** 3


def _parse_schedule(schedule: Schedule) -> tuple[str, dict[str, float]]:
    options = {} if isinstance(schedule, str) else dict(schedule)
    kind = schedule if isinstance(schedule, str) else options.pop('type', None)
    if kind not in RATE_SCHEDULES:
        raise ValueError(
            f'rate_schedule={schedule!r} has an unknown type; use one of '
            f'{", ".join(RATE_SCHEDULES)}'
        )
    defaults = RATE_SCHEDULES[str(kind)]
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        raise ValueError(
            f'rate_schedule of type "{kind}" has no {", ".join(unknown)}; '
            f'it takes {", ".join(defaults) or "no parameters"}'
        )
    options = {**defaults, **options}
    for name, value in options.items():
        _check_share(f'rate_schedule.{name}', value)
    if options.get('y') == 1:
        raise ValueError('rate_schedule.y=1 is never reached; give y < 1')
    return str(kind), options


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(
            f'{name} must be in (0, 1], but is {value}; it is a share of '
            'the training'
        )
