"""Thresholds of an early exit for a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmkd.evaluation.early_exit import (
    ExitResult,
    ExitTable,
    apply_thresholds,
    fixed_exit,
)

NEVER = 2.0


def search_thresholds(
    table: ExitTable,
    costs: Sequence[float],
    budget: float,
    levels: int = 33,
    prices: int = 14,
) -> ExitResult:
    """Return the thresholds with the best accuracy within a budget.

    For a price of cost, thresholds with a large accuracy - price * cost are
    found from the best common threshold by changing one stage at a time
    until nothing helps; the price is bisected to meet the budget. Use a
    split that is not the one you report.

    Args:
        table: of held-out images.
        costs: of an image that leaves after each stage, rising.
        budget: largest allowed mean cost.
        levels: thresholds that are tried at each stage, quantiles of its
            confidences, and "never".
        prices: how many are tried.

    Raises:
        ValueError: even leaving at once is above the budget, or the costs
            do not rise.
    """
    if any(b <= a for a, b in zip(costs[:-1], costs[1:], strict=True)):
        raise ValueError(
            f'costs={list(costs)} must rise from stage to stage; check the '
            'multiply-adds of the networks'
        )
    stages = table.num_stages
    best = apply_thresholds(table, fixed_exit(stages, 0), costs)
    if best.cost > budget:
        raise ValueError(
            f'budget={budget:g} is below the cost of the first stage, '
            f'{best.cost:g}: give at least that'
        )
    shares = np.linspace(0, 1, levels)
    tried = [
        [0.0, *np.quantile(table.confidence[:, s], shares).tolist(), NEVER]
        for s in range(stages - 1)
    ]
    common = np.quantile(table.confidence, shares).tolist()
    starts = [
        apply_thresholds(table, (t,) * stages, costs) for t in (*common, NEVER)
    ]
    # from "a point of accuracy is worth any cost" to "no cost"
    steepest = 1.0 / (costs[-1] - costs[0])
    low, high = 1e-4 * steepest, 1e2 * steepest
    for _ in range(prices):
        price = float(np.sqrt(low * high))
        start = max(starts, key=lambda found: found.worth(price))
        found = _climb(table, costs, start, tried, price)
        for candidate in (start, found):
            if candidate.cost <= budget:
                best = max(best, candidate, key=lambda r: r.accuracy)
        if found.cost > budget:
            low = price
        else:
            high = price
    return best


def _climb(
    table: ExitTable,
    costs: Sequence[float],
    start: ExitResult,
    tried: Sequence[Sequence[float]],
    price: float,
) -> ExitResult:
    """Return the best result that changes of single thresholds lead to."""
    best = start
    while True:
        before = best.worth(price)
        for stage, values in enumerate(tried):
            for value in values:
                thresholds = list(best.thresholds)
                thresholds[stage] = value
                found = apply_thresholds(table, thresholds, costs)
                if found.worth(price) > best.worth(price):
                    best = found
        if best.worth(price) <= before:
            return best


def tradeoff_curve(
    table: ExitTable, costs: Sequence[float], points: int = 12, **options: int
) -> list[ExitResult]:
    """Return results of searches, from the cheapest budget to the largest.

    Args:
        table: of held-out images.
        costs: of an image that leaves after each stage.
        points: budgets, evenly spread between the costs of the first and
            the last stage.
        options: of `search_thresholds`.
    """
    budgets = np.linspace(costs[0], costs[-1], points)
    return [
        search_thresholds(table, costs, float(budget), **options)
        for budget in budgets
    ]
