"""Rate, damping and hard ratio over the training."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd.pruning import METHODS, PruningSchedule, alpha_at, rate_at
from mmkd.pruning import hard_ratio_at as hard_at
from tests.references import pruning as reference

LENGTHS = (100, 200)
EXACT = dict(rtol=0, atol=1e-12)


@pytest.fixture(scope='module')
def cases(golden):
    return golden('softer_filter_pruning', 'schedules')


def rates(T: int, target: float, **options) -> list[float]:
    schedule = dict(type='exponential', **options)
    return [rate_at(t, T, target, schedule) for t in range(T)]


@pytest.mark.parametrize('T', LENGTHS)
@pytest.mark.parametrize('target', [0.3, 0.4, 0.6])
class TestGoldenRates:
    def test_clamped(self, cases, T, target) -> None:
        name = f'T{T}_P{target}_asym_exp'
        for options, suffix in (
            ({}, '_clamp19_20'),
            (dict(clamp_from=0.9), '_clamp9_10'),
        ):
            expected = cases[name + suffix]
            np.testing.assert_allclose(
                rates(T, target, **options), expected, **EXACT
            )

    def test_not_clamped_but_forced_in_the_end(self, cases, T, target) -> None:
        found = rates(T, target, clamp_from=1.0)
        raw = cases[f'T{T}_P{target}_asym_exp_raw']
        np.testing.assert_allclose(found[:-1], raw[:-1], **EXACT)
        assert raw[-1] < target == found[-1]

    def test_close_to_the_curve_through_three_points(
        self, cases, T, target
    ) -> None:
        exact = cases[f'T{T}_P{target}_asym_exp_exact3pt']
        found = rates(T, target, clamp_from=1.0)
        difference = np.abs(np.array(found) - exact)
        assert 1e-7 < difference[:-1].max() < 1.6e-5 * target

    def test_polynomial(self, cases, T, target) -> None:
        found = [rate_at(t, T, target, 'polynomial') for t in range(T)]
        expected = cases[f'T{T}_P{target}_poly3']
        np.testing.assert_allclose(found, expected, **EXACT)


@pytest.mark.parametrize('T', LENGTHS)
@pytest.mark.parametrize('alpha0', [1.0, 0.5, 0.1])
@pytest.mark.parametrize('sigma', [1e-5, 0.001, 1e-7])
def test_golden_damping(cases, T, alpha0, sigma) -> None:
    name = f'T{T}_a{alpha0}_sigma{sigma:g}_alpha'
    assert f'{name}_raw' in cases
    for zero_from, suffix in ((0.9, 'zero9_10'), (0.8, 'zero4_5')):
        found = [alpha_at(t, T, alpha0, sigma, zero_from) for t in range(T)]
        np.testing.assert_allclose(
            found, cases[f'{name}_{suffix}'], rtol=1e-12, atol=0
        )
    found = [alpha_at(t, T, alpha0, sigma, 1.0) for t in range(T)]
    raw = cases[f'{name}_raw']
    np.testing.assert_allclose(found[:-1], raw[:-1], rtol=1e-12, atol=0)
    assert found[-1] == 0


@pytest.mark.parametrize('T', LENGTHS)
def test_golden_hard_ratio(cases, T) -> None:
    found = [hard_at(t, T) for t in range(T)]
    expected = cases[f'T{T}_lambda_hard_poly3']
    np.testing.assert_allclose(found, expected, **EXACT)


@pytest.mark.parametrize('T', [1, 2, 5, 8, 40, 200])
def test_against_the_formulas(T: int) -> None:
    for t in range(T):
        assert rate_at(t, T, 0.4, 'exponential') == pytest.approx(
            reference.rate(t, T, 0.4), abs=1e-12
        )
        assert alpha_at(t, T, 0.5, 1e-4) == pytest.approx(
            reference.alpha(t, T, 0.5, 1e-4), abs=1e-12
        )
        assert hard_at(t, T) == pytest.approx(
            reference.hard_ratio(t, T), abs=1e-6
        )


@pytest.mark.parametrize('T', [8, 40, 200])
def test_named_points_of_the_rate(T: int) -> None:
    found = rates(T, 0.4)
    assert found[0] == 0
    assert found[T // 8] == pytest.approx(0.3)
    assert found == sorted(found)
    half = rates(T, 0.4, D=1 / 4, y=0.5)
    assert half[T // 4] == pytest.approx(0.2)


@pytest.mark.parametrize('T', [1, 2, 3, 9, 10, 19, 20, 100])
@pytest.mark.parametrize('method', METHODS)
def test_every_method_ends_with_a_pruned_network(method, T) -> None:
    schedule = PruningSchedule.of_method(method)
    last = T - 1
    assert schedule.rate_at(last, T, 0.3) == 0.3
    assert schedule.alpha_at(last, T) == 0
    assert schedule.hard_ratio_at(last, T) == float(method == 'ghfp')
    assert schedule.is_final(last, T)
    for t in range(last):
        assert schedule.alpha_at(t, T) >= schedule.alpha_at(t + 1, T)
        assert schedule.is_final(t, T) == (
            schedule.rate_at(t, T, 0.3) == 0.3
            and schedule.alpha_at(t, T) < 1e-4
        )


def test_values_of_the_methods() -> None:
    values = {}
    for method in METHODS:
        schedule = PruningSchedule.of_method(method)
        values[method] = (
            round(schedule.rate_at(25, 200, 0.4), 6),
            round(schedule.alpha_at(20, 200), 4),
            round(schedule.hard_ratio_at(49, 200), 4),
        )
    assert values == dict(
        sfp=(0.4, 0, 0),
        asfp=(0.3, 0, 0),
        srfp=(0.4, 0.3162, 0),
        asrfp=(0.3, 0.3162, 0),
        ghfp=(0.3, 0, 0.5781),
    )


def test_a_schedule_that_is_given_replaces_that_of_the_method() -> None:
    schedule = PruningSchedule.of_method(
        'asrfp', rate='polynomial', decay=None, hard_ratio=1.0
    )
    assert schedule.rate_at(49, 200, 0.4) == pytest.approx(0.4 * 0.5781, 1e-4)
    assert schedule.alpha_at(0, 200) == 0
    assert schedule.hard_ratio_at(0, 200) == 1


def test_limits() -> None:
    steep = dict(type='exponential', D=1e-9)
    assert rate_at(1, 100, 0.4, steep) == pytest.approx(0.4)
    assert alpha_at(0, 100, alpha0=0.0) == 0
    assert alpha_at(0, 100, alpha0=0.7) == 0.7


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: rate_at(0, 9, 1.0), r'pruning_rate must be in \[0, 1\)'),
        (lambda: rate_at(0, 9, -0.1), r'pruning_rate must be in \[0, 1\)'),
        (lambda: rate_at(0, 9, 0.3, 'linear'), 'one of constant, expon'),
        (lambda: rate_at(0, 9, 0.3, dict(D=0.1)), 'unknown type'),
        (
            lambda: rate_at(0, 9, 0.3, dict(type='exponential', d=0.1)),
            'takes D, y, clamp_from',
        ),
        (
            lambda: rate_at(0, 9, 0.3, dict(type='exponential', D=0)),
            r'rate_schedule.D must be in \(0, 1\]',
        ),
        (
            lambda: rate_at(0, 9, 0.3, dict(type='exponential', y=1)),
            'y=1 is never reached',
        ),
        (lambda: alpha_at(0, 9, alpha0=1.5), r'alpha0 must be in \[0, 1\]'),
        (lambda: alpha_at(0, 9, 0.5, sigma=0.5), r'sigma must be in \(0, al'),
        (lambda: alpha_at(0, 9, sigma=0.0), r'sigma must be in \(0, al'),
        (lambda: alpha_at(0, 9, zero_from=0.0), 'decay.zero_from must be'),
        (lambda: PruningSchedule.of_method('fpgm'), 'use one of sfp, asfp'),
        (lambda: PruningSchedule(decay=dict(alpha=1)), 'it takes alpha0'),
        (lambda: PruningSchedule(hard_ratio='linear'), 'None, "cubic" or'),
        (lambda: PruningSchedule(hard_ratio=1.5), 'None, "cubic" or'),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
