from __future__ import annotations

import pytest
import torch

from mmkd.models.exchanges import CohortSpec, LogitEnsembleExchange
from mmkd.models.losses import LogitEnsembleKDLoss
from tests.references import okd_baselines as reference


def draw(count=3, shape=(4, 6)):
    return [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for _ in range(count)
    ]


@pytest.mark.parametrize('targets', ['all', 'last'])
@pytest.mark.parametrize('detach', [True, False])
def test_equals_the_loop_and_the_loss(cohort_of, make_batch, targets, detach):
    logits = draw()
    exchange = LogitEnsembleExchange(targets=targets, detach_target=detach)
    found = exchange(cohort_of(logits=logits), make_batch())
    mean = sum(logits) / 3
    mean = mean.detach() if detach else mean
    learners = range(3) if targets == 'all' else [2]
    assert list(found) == [f'peer{i}.loss_kd' for i in learners]
    for i in learners:
        expected = reference.kd(logits[i], mean, 3.0)
        torch.testing.assert_close(found[f'peer{i}.loss_kd'], expected)
    total = LogitEnsembleKDLoss(3.0, targets, detach)(logits)
    torch.testing.assert_close(sum(found.values()), total)
    torch.testing.assert_close(
        torch.autograd.grad(sum(found.values()), logits, allow_unused=True),
        torch.autograd.grad(total, logits, allow_unused=True),
    )


def test_maps_and_lists_of_maps(cohort_of, make_batch):
    maps = draw(2, (2, 5, 3, 4))
    exchange = LogitEnsembleExchange()
    dense = exchange(cohort_of(logits=maps), make_batch())
    pixels = [z.movedim(1, -1).flatten(0, 2) for z in maps]
    flat = exchange(cohort_of(logits=pixels), make_batch())
    torch.testing.assert_close(dense, flat)
    lists = exchange(cohort_of(logits=[[z, z] for z in maps]), make_batch())
    for name, value in lists.items():
        torch.testing.assert_close(value, 2 * dense[name])


def test_mistakes():
    with pytest.raises(ValueError, match="targets='first'; choose"):
        LogitEnsembleExchange(targets='first')
    with pytest.raises(ValueError, match='at least 2 peers'):
        LogitEnsembleExchange().setup(CohortSpec(1))
