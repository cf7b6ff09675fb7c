"""Online HSSAKD: peers with branch classifiers on rotated views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import check_roles
from mmkd.models.exchanges.transfer import Batch, CohortSpec, Peers, Tensors
from mmkd.models.losses.joint_label_loss import JointLabelLoss
from mmkd.models.losses.kl_div_loss import KLDivLoss
from mmkd.registry import MODELS


@MODELS.register_module()
class HierarchicalMutualExchange(Exchange):
    """Peers with branches teach each other, without a teacher (HSSAKD).

    L_i = sum_l CE(u_il, t) + 1/(M-1) sum_{j != i} [KL_T(z_j || z_i)
    + sum_l KL_T(u_jl || u_il)], on all rotated rows, t the joint label, z
    the class logits, u_l the joint logits of branch l; targets carry no
    gradient. The peers' task loss, of the unrotated rows, is their own.
    Needs ``views=dict(type='mmkd.RotationViews')``. Paper:
    https://arxiv.org/abs/2109.03075 (authors' code; more than two peers are
    averaged as in DML).

    Args:
        on: dict of ``logits``, the class logits, and ``joint``, the list of
            joint logits (`HierarchicalBranches`).
        temperature: T.
        joint_weight: factor on the cross entropy of joint labels.
        kl_q_weight: factor on the divergence of joint logits.
        kl_p_weight: factor on the divergence of class logits.
        others: ``loss_weight``, ``init_cfg``; see `Exchange`.
    """

    def __init__(
        self,
        on: Mapping[str, str] | None = None,
        temperature: float = 3.0,
        joint_weight: float = 1.0,
        kl_q_weight: float = 1.0,
        kl_p_weight: float = 1.0,
        **others: Any,
    ) -> None:
        super().__init__(
            on or dict(logits='logits', joint='joint'), temperature, **others
        )
        check_roles(self, 'logits', 'joint')
        self.joint_weight = joint_weight
        self.kl_q_weight = kl_q_weight
        self.kl_p_weight = kl_p_weight
        self.divergence = KLDivLoss(temperature)
        self.joint_loss = JointLabelLoss()

    def setup(self, spec: CohortSpec) -> None:
        """Check that all peers have as many branches, and as wide ones.

        Raises:
            ValueError: names both counts.
        """
        seen = [shapes.get('joint') for shapes in spec.shapes]
        branches = [
            [tuple(s) for s in (v if isinstance(v, list) else [v])]
            for v in seen
            if v is not None
        ]
        for index, shapes in enumerate(branches):
            if len(shapes) != len(branches[0]):
                raise ValueError(
                    f'HierarchicalMutualExchange: peer 0 has '
                    f'{len(branches[0])} branches, peer {index} has '
                    f'{len(shapes)}; choose peers with equally many stages, '
                    'or name as many in aux_heads.<name>.stages'
                )
            if shapes != branches[0]:
                raise ValueError(
                    f'HierarchicalMutualExchange: the joint logits of peer 0 '
                    f'are {branches[0]}, those of peer {index} {shapes}; set '
                    'the same num_classes and num_rotations in aux_heads'
                )

    def extra_losses(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> dict[str, torch.Tensor]:
        """Return the three losses of every peer.

        Raises:
            ValueError: there are no views.
        """
        labels = batch['view_labels']
        if labels is None:
            raise ValueError(
                'HierarchicalMutualExchange needs rotated views; set '
                'model.views=dict(type="mmkd.RotationViews")'
            )
        losses: dict[str, torch.Tensor] = {}
        for index, peer in enumerate(peers):
            others = [p for k, p in enumerate(peers) if k != index]
            for name, value in dict(
                joint=self.joint_weight
                * self.joint_loss(peer['joint'], labels),
                kl_q=self.kl_q_weight * self._mean(peer, others, 'joint'),
                kl_p=self.kl_p_weight * self._mean(peer, others, 'logits'),
            ).items():
                losses[f'peer{index}.loss_{name}'] = value
        return losses

    def _mean(
        self, peer: Mapping[str, Any], others: Peers, role: str
    ) -> torch.Tensor:
        """Return the mean divergence from the others."""
        terms = [self.divergence(peer[role], other[role]) for other in others]
        return torch.stack(terms).mean()
