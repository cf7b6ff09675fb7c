"""What is selected, and what masking does."""

from __future__ import annotations

import pytest
import torch

from mmkd.pruning import (
    choose_masks,
    damp,
    filter_mask,
    filter_scores,
    num_pruned,
    select_filters,
    weight_mask,
)
from mmkd.pruning.masks import HARD, KEPT, SOFT
from tests.references import pruning as reference

RATES = (0.0, 0.1, 0.3, 0.5, 0.75)


def masked(
    weight: torch.Tensor, rate: float, alpha: float = 0.0, hard: float = 0.0
) -> torch.Tensor:
    weight = weight.clone()
    mask = choose_masks(dict(conv=weight), dict(conv=rate), hard)['conv']
    damp(weight, mask, alpha)
    return weight


def test_golden_selection(golden) -> None:
    case = golden('softer_filter_pruning', 'sfp_filter_selection')
    compared = 0
    for k in range(8):
        weight = torch.from_numpy(case[f'w{k}'])
        for keep in case['keep_rates']:
            expected = case[f'w{k}_pruned_keep{keep}'].tolist()
            found = select_filters(
                filter_scores(weight), 1 - round(float(keep), 12)
            ).tolist()
            if len(weight) in (10, 20) and keep in (0.9, 0.8):
                # public code loses a filter there
                assert set(expected) < set(found)
                assert len(found) == round(len(weight) * (1 - keep))
            else:
                assert found == expected
                compared += 1
        l1 = [
            select_filters(filter_scores(weight, 1), 1 - keep).tolist()
            != select_filters(filter_scores(weight), 1 - keep).tolist()
            for keep in case['keep_rates']
        ]
        assert any(l1) == bool(case[f'w{k}_l1_differs'])
    assert compared == 8 * len(case['keep_rates']) - 4


def test_golden_counts(golden) -> None:
    case = golden('softer_filter_pruning', 'sfp_pruned_counts')
    different = set()
    for i, count in enumerate(case['num_filters']):
        for j, keep in enumerate(case['keep_rates']):
            rate = 1 - round(float(keep), 12)
            expected = int(case['n_pruned_robust'][i, j])
            assert num_pruned(int(count), rate) == expected
            if case['n_pruned_public_code'][i, j] != expected:
                different.add((int(count), round(float(keep), 2)))
    assert {keep for _, keep in different} == {0.9, 0.8}
    assert {10, 320, 1280} <= {count for count, _ in different}


def test_a_layer_is_never_emptied() -> None:
    assert num_pruned(1, 0.99) == 0
    assert num_pruned(4, 1 - 1e-12) == 3


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('alpha', [0.0, 5e-5, 0.3, 1.0])
@pytest.mark.parametrize('hard', [0.0, 0.5, 1.0])
def test_filters_against_the_loop(rate, alpha, hard) -> None:
    weight = torch.randn(13, 3, 2, 2, dtype=torch.float64)
    expected = reference.mask_filters(weight, rate, alpha, hard)
    torch.testing.assert_close(
        masked(weight, rate, alpha, hard), expected, rtol=1e-14, atol=0
    )


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize('alpha', [0.0, 0.3])
def test_weights_against_the_loop(rate, alpha) -> None:
    weight = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    expected = reference.mask_weights(weight, rate, alpha)
    mask = weight_mask(weight, rate)
    assert int((mask > 0).sum()) == num_pruned(60, rate)
    damp(weight, mask, alpha)
    torch.testing.assert_close(weight, expected, rtol=1e-14, atol=0)


def test_equal_weights_at_the_border_are_kept() -> None:
    weight = torch.tensor([1.0, -2, 2, 2, 3, 4]).view(6, 1, 1, 1)
    assert weight_mask(weight, 0.5).flatten().tolist() == [1, 0, 0, 0, 0, 0]


def test_hard_weights_are_among_the_pruned() -> None:
    weight = torch.arange(1.0, 11).view(5, 2, 1, 1)
    mask = weight_mask(weight, 0.6, 0.5).flatten().tolist()
    assert mask == [HARD] * 3 + [SOFT] * 3 + [KEPT] * 4


def test_equal_norms_lower_index_first() -> None:
    assert select_filters(torch.ones(7), 0.5).tolist() == [0, 1, 2]
    mask = filter_mask(torch.ones(6), 0.5, 0.7).flatten().tolist()
    assert mask == [HARD, HARD, SOFT, KEPT, KEPT, KEPT]


def test_kept_filters_have_the_larger_norms_and_stay_as_they_are() -> None:
    weight = torch.randn(16, 4, 3, 3)
    scores = filter_scores(weight)
    pruned = set(select_filters(scores, 0.3).tolist())
    kept = sorted(set(range(16)) - pruned)
    assert len(pruned) == 4
    assert scores[kept].min() >= scores[sorted(pruned)].max()
    after = masked(weight, 0.3)
    assert torch.equal(after[kept], weight[kept])
    assert not after[sorted(pruned)].any()


def test_permuted_filters_give_the_permuted_result() -> None:
    weight = torch.randn(12, 3, 3, 3)
    order = torch.randperm(12)
    assert torch.equal(masked(weight, 0.4)[order], masked(weight[order], 0.4))


def test_twice_is_once_and_limits_change_nothing() -> None:
    weight = torch.randn(12, 3, 3, 3)
    once = masked(weight, 0.4)
    assert torch.equal(masked(once, 0.4), once)
    assert torch.equal(masked(weight, 0.4, alpha=1.0), weight)
    assert torch.equal(masked(weight, 0.0), weight)
    small = weight_mask(weight, 0.4)
    damp(weight, small, 0.0)
    assert torch.equal(weight_mask(weight, 0.4), small)


def test_tiny_factors_count_as_zero_unless_exact() -> None:
    mask = torch.tensor([KEPT, SOFT, HARD], dtype=torch.uint8)
    for exact, expected in ((False, 0.0), (True, 5e-5)):
        values = torch.ones(3)
        damp(values, mask, 5e-5, exact=exact)
        torch.testing.assert_close(values, torch.tensor([1, expected, 0]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_ranked_in_float32(dtype) -> None:
    weight = (300 + 100 * torch.rand(8, 64, 3, 3)).to(dtype)
    scores = filter_scores(weight)  # squares overflow float16
    assert scores.dtype == torch.float32 and scores.isfinite().all()
    expected = torch.tensor(reference.norms(weight))
    torch.testing.assert_close(scores, expected)
    assert int((weight_mask(weight, 0.5) > 0).sum()) > 0


def test_storage_stays() -> None:
    weight = torch.randn(8, 2, 3, 3)
    address = weight.data_ptr()
    damp(weight, filter_mask(filter_scores(weight), 0.5), 0.0)
    assert weight.data_ptr() == address
    assert int((weight == 0).sum()) == 4 * 18


@pytest.mark.parametrize('granularity', ['filter', 'weight'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite(granularity, value) -> None:
    weights = dict(conv1=torch.randn(4, 2, 1, 1))
    weights['layer1.conv2'] = torch.randn(4, 2, 1, 1)
    weights['layer1.conv2'][1, 0] = value
    rates = dict.fromkeys(weights, 0.5)
    with pytest.raises(RuntimeError, match='layer1.conv2 are not finite'):
        choose_masks(weights, rates, granularity=granularity)
