"""What the three forms of mutual contrastive learning share.

Symbols: M peers, B anchors, d embedding width, C contrasted samples.
Logits of all pairs are held as (M, B, M, C): [a, r, b, c].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.models.losses.precision import at_least_float32
from mmkd.utils.settings import check_numbers, check_positive

Embeddings = Sequence[torch.Tensor] | torch.Tensor


class ContrastiveTerms(nn.Module):
    """Temperatures and weights of the four terms.

    Args:
        temperature: tau, divides every similarity.
        kd_temperature: T, further softening in the two soft terms.
        vcl_weight: factor on ``loss_vcl``, inside each peer's own space.
        soft_vcl_weight: factor on ``loss_soft_vcl``.
        icl_weight: factor on ``loss_icl``, between two peers.
        soft_icl_weight: factor on ``loss_soft_icl``.

    Raises:
        ValueError: a temperature is not positive.
    """

    def __init__(
        self,
        temperature: float,
        kd_temperature: float,
        vcl_weight: float,
        soft_vcl_weight: float,
        icl_weight: float,
        soft_icl_weight: float,
    ) -> None:
        super().__init__()
        check_numbers(
            type(self).__name__,
            temperature=temperature,
            kd_temperature=kd_temperature,
            vcl_weight=vcl_weight,
            soft_vcl_weight=soft_vcl_weight,
            icl_weight=icl_weight,
            soft_icl_weight=soft_icl_weight,
        )
        check_positive(
            type(self).__name__,
            1.0,
            temperature=temperature,
            kd_temperature=kd_temperature,
        )
        self.temperature = temperature
        self.kd_temperature = kd_temperature
        self.vcl_weight = vcl_weight
        self.soft_vcl_weight = soft_vcl_weight
        self.icl_weight = icl_weight
        self.soft_icl_weight = soft_icl_weight

    def weighted(
        self,
        vcl: torch.Tensor,
        soft_vcl: torch.Tensor,
        icl: torch.Tensor,
        soft_icl: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Name and weight the terms."""
        return dict(
            loss_vcl=self.vcl_weight * vcl,
            loss_soft_vcl=self.soft_vcl_weight * soft_vcl,
            loss_icl=self.icl_weight * icl,
            loss_soft_icl=self.soft_icl_weight * soft_icl,
        )

    def stack(self, name: str, embeddings: Embeddings) -> torch.Tensor:
        """Return the embeddings of M peers as (M, B, d), not in half.

        Raises:
            ValueError: no embeddings, or shapes that are not one (B, d).
        """
        shapes = [tuple(embeds.shape) for embeds in embeddings]
        if not shapes or len(shapes[0]) != 2 or len(set(shapes)) > 1:
            raise ValueError(
                f'{type(self).__name__}: {name} must have one shape (B, d) '
                f'for all peers, got {shapes}; give the peers the same '
                'batch, and their embedding heads the same feat_dim'
            )
        if isinstance(embeddings, torch.Tensor):
            return at_least_float32(embeddings)
        return torch.stack([at_least_float32(e) for e in embeddings])

    def check_size(
        self, name: str, stacked: torch.Tensor, num_peers: int, feat_dim: int
    ) -> None:
        """Check M and d of a stack (M, B, d) against the config.

        Raises:
            ValueError: they differ.
        """
        found = dict(num_peers=stacked.shape[0], feat_dim=stacked.shape[2])
        expected = dict(num_peers=num_peers, feat_dim=feat_dim)
        for key, value in expected.items():
            if found[key] != value:
                raise ValueError(
                    f'{type(self).__name__}: {key}={value}, but {name} are '
                    f'{tuple(stacked.shape)} (peers, batch, width); set '
                    f'{key}={found[key]}'
                )

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return (
            f'temperature={self.temperature}, '
            f'kd_temperature={self.kd_temperature}, '
            f'vcl_weight={self.vcl_weight}, '
            f'soft_vcl_weight={self.soft_vcl_weight}, '
            f'icl_weight={self.icl_weight}, '
            f'soft_icl_weight={self.soft_icl_weight}'
        )


def own_logits(pairs: torch.Tensor) -> torch.Tensor:
    """Return the (M, B, C) logits [a, :, a] of (M, B, M, C)."""
    return pairs.diagonal(dim1=0, dim2=2).movedim(-1, 0)


def off_diagonal_sum(pairs: torch.Tensor) -> torch.Tensor:
    """Sum of a matrix (M, M) without its diagonal; exactly 0 for M = 1."""
    own = torch.eye(len(pairs), dtype=torch.bool, device=pairs.device)
    return pairs.masked_fill(own, 0).sum()
