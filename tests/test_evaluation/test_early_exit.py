"""Early exit on tables: the slow rule, published numbers, searches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmkd.evaluation.early_exit import (
    ExitTable,
    apply_thresholds,
    fixed_exit,
)
from mmkd.evaluation.threshold_search import (
    search_thresholds,
    tradeoff_curve,
)
from mmkd.models.classifiers.cascade_cost import stage_costs
from tests.references import anchornet as reference

COSTS = [1.0, 2.5, 3.5, 4.5]


def random_table(count: int = 300, stages: int = 4) -> ExitTable:
    """Sure answers are right more often, later ones too."""
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.1, 1, (count, stages)) ** 0.7
    confidence = np.maximum.accumulate(confidence, 1).round(2)
    lucky = generator.uniform(0, 1, (count, stages))
    return ExitTable(confidence.astype(np.float32), lucky < confidence)


@pytest.mark.parametrize(
    'thresholds',
    [(0.9, 0.8, 0.7, 0.6), (0.5, 0.5, 0.5, 2), (0, 0, 0, 0), (2, 2, 2, 0)],
)
def test_slow_rule(thresholds: tuple[float, ...]) -> None:
    table = random_table()
    found = apply_thresholds(table, thresholds, COSTS)
    count, right, cost = reference.early_exit(
        table.confidence, table.correct, thresholds, COSTS
    )
    assert list(found.stage_count) == count
    assert list(found.stage_correct) == right
    assert found.accuracy == pytest.approx(sum(right) / 300)
    assert found.cost == pytest.approx(cost, abs=1e-9)


def test_a_tie_goes_on() -> None:
    confidence = np.array([[0.5, 0.9], [np.nextafter(0.5, 1), 0.9]])
    table = ExitTable(confidence, np.array([[True, False], [True, False]]))
    found = apply_thresholds(table, (0.5, 0.0), [1, 2])
    assert found.stage_count == (1, 1)
    assert found.stage_correct == (1, 0)


def test_cost_model() -> None:
    costs = stage_costs(0.79, 0.79, 0.06, 6)
    assert costs == pytest.approx([0.79, 1.64, 2.43, 3.22, 4.01, 4.80])


def test_a_lower_threshold_never_costs_more() -> None:
    table = random_table()
    base = (0.8, 0.8, 0.8, 0.0)
    cost = apply_thresholds(table, base, COSTS).cost
    for stage, value in itertools.product(range(3), (0.0, 0.3, 0.7)):
        lower = [*base]
        lower[stage] = value
        assert apply_thresholds(table, lower, COSTS).cost <= cost


def test_search_keeps_the_budget_and_beats_fixed_exits() -> None:
    table = random_table()
    for stage in range(4):
        fixed = apply_thresholds(table, fixed_exit(4, stage), COSTS)
        found = search_thresholds(table, COSTS, fixed.cost)
        assert found.cost <= fixed.cost
        assert found.accuracy >= fixed.accuracy
        again = apply_thresholds(table, found.thresholds, COSTS)
        assert again == found


def test_search_is_near_the_best_of_all_thresholds() -> None:
    table = random_table(60, 3)
    costs = COSTS[:3]
    levels = [0.0, *np.quantile(table.confidence, np.linspace(0, 1, 25)), 2]
    best = max(
        (
            found
            for pair in itertools.product(levels, levels)
            if (found := apply_thresholds(table, (*pair, 0), costs)).cost <= 2
        ),
        key=lambda found: found.accuracy,
    )
    found = search_thresholds(table, costs, 2.0)
    assert found.accuracy >= best.accuracy - 1.5 / 60


def test_curve_rises_with_the_budget() -> None:
    curve = tradeoff_curve(random_table(), COSTS, points=4, prices=8)
    budgets = np.linspace(1.0, 4.5, 4)
    for found, budget in zip(curve, budgets, strict=True):
        assert found.cost <= budget + 1e-9
    assert curve[-1].accuracy > curve[0].accuracy


def test_mistakes_are_named() -> None:
    table = random_table()
    with pytest.raises(ValueError, match=r'3 for 4 stages'):
        apply_thresholds(table, (0.5,) * 3, COSTS)
    with pytest.raises(ValueError, match=r'costs: 1 for 4'):
        apply_thresholds(table, (0.5,) * 4, [1.0])
    with pytest.raises(ValueError, match=r'budget=0.5 is below.*first stage'):
        search_thresholds(table, COSTS, 0.5)
    with pytest.raises(ValueError, match=r'must rise'):
        search_thresholds(table, [1, 1, 2, 3], 5)
    with pytest.raises(ValueError, match=r'\(2, 3\) and correct \(3, 2\)'):
        ExitTable(np.zeros((2, 3)), np.zeros((3, 2), bool))
