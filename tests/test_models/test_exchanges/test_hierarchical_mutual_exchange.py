"""The exchange of online HSSAKD, on tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mmkd.models.exchanges import HierarchicalMutualExchange
from mmkd.models.losses import KLDivLoss
from tests.references.hssakd import cross_entropy, online_loss

LABELS = [0, 4, 2]


def peers_of(cohort_of: Any, count: int = 2, branches: int = 3) -> Any:
    def rows(classes: int) -> torch.Tensor:
        return torch.randn(12, classes, requires_grad=True)

    return cohort_of(
        logits=[rows(5) for _ in range(count)],
        joint=[[rows(20) for _ in range(branches)] for _ in range(count)],
    )


def turned() -> torch.Tensor:
    return torch.tensor([4 * y + k for y in LABELS for k in range(4)])


@pytest.mark.parametrize('count', [2, 3])
def test_equals_the_loss_written_out(
    cohort_of: Any, make_batch: Any, set_up: Any, count: int
) -> None:
    peers = peers_of(cohort_of, count)
    exchange = set_up(HierarchicalMutualExchange(), peers)
    losses = exchange(peers, make_batch(view_labels=turned()))
    wanted = online_loss(
        [(peer['logits'], peer['joint']) for peer in peers], LABELS
    )
    for peer in peers:  # the task loss is the networks' own
        wanted = wanted - cross_entropy(peer['logits'][::4], LABELS)
    torch.testing.assert_close(sum(losses.values()), wanted)


def test_targets_carry_no_gradient(
    cohort_of: Any, make_batch: Any, set_up: Any
) -> None:
    peers = peers_of(cohort_of)
    exchange = set_up(HierarchicalMutualExchange(), peers)
    losses = exchange(peers, make_batch(view_labels=turned()))
    losses['peer0.loss_kl_p'].backward()
    assert peers[0]['logits'].grad is not None
    assert peers[1]['logits'].grad is None


def test_weights(cohort_of: Any, make_batch: Any, set_up: Any) -> None:
    peers = peers_of(cohort_of)
    exchange = HierarchicalMutualExchange(
        temperature=2.0, joint_weight=0.0, kl_q_weight=3.0, kl_p_weight=0.5
    )
    losses = set_up(exchange, peers)(peers, make_batch(view_labels=turned()))
    assert losses['peer1.loss_joint'].item() == 0
    divergence = KLDivLoss(2.0)
    torch.testing.assert_close(
        losses['peer1.loss_kl_p'],
        0.5 * divergence(peers[1]['logits'], peers[0]['logits']),
    )
    torch.testing.assert_close(
        losses['peer1.loss_kl_q'],
        3 * divergence(peers[1]['joint'], peers[0]['joint']),
    )


def test_unequal_branches_are_refused(cohort_of: Any, set_up: Any) -> None:
    peers = peers_of(cohort_of)
    peers[1]['joint'] = peers[1]['joint'][:2]
    words = 'peer 0 has 3 branches, peer 1 has 2; choose peers with equally'
    with pytest.raises(ValueError, match=words):
        set_up(HierarchicalMutualExchange(), peers)
    peers[1]['joint'] = [torch.randn(12, 24) for _ in range(3)]
    with pytest.raises(ValueError, match='set the same num_classes'):
        set_up(HierarchicalMutualExchange(), peers)


def test_views_are_needed(
    cohort_of: Any, make_batch: Any, set_up: Any
) -> None:
    peers = peers_of(cohort_of)
    exchange = set_up(HierarchicalMutualExchange(), peers)
    with pytest.raises(ValueError, match='set model.views=dict'):
        exchange(peers, make_batch(view_labels=None))


def test_roles_are_checked() -> None:
    with pytest.raises(ValueError, match='must name the tensors logits, jo'):
        HierarchicalMutualExchange(on='logits')
