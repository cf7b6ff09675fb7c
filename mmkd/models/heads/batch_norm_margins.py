"""Expected negative response of a network's batch norms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.registry import MODELS
from mmkd.taps import Tensors, find_module


@MODELS.register_module()
class BatchNormMargins(nn.Module):
    """Margins of `OFDLoss`, read off the batch norms before some ReLUs.

    The output of a channel with weight g and bias b is taken as
    N(b, s = |g|); its margin is the mean of the negative part,
    m = b - s phi(b / s) / Phi(-b / s), or -3 s where Phi(-b / s) <= 0.001.
    Used as an auxiliary head that a loss reads on the teacher's side; it has
    no parameters, and no state. Paper: https://arxiv.org/abs/1904.01866.

    Args:
        norms: paths of the batch norms in the backbone, one per stage, e.g.
            ``['layer1.4.bn2', 'layer2.4.bn2', 'layer3.4.bn2']``.
        backbone: where they are; given by the distiller.

    Shape:
        input: anything.
        returns: list of margins (1, C, 1, 1).

    Raises:
        KeyError: a path names no module.
        ValueError: it is no batch norm with weight and bias, or no backbone
            was given.
    """

    def __init__(
        self, norms: Sequence[str], backbone: nn.Module | None = None
    ) -> None:
        super().__init__()
        if backbone is None:
            raise ValueError(
                'BatchNormMargins: there is no backbone to read; use it in '
                'aux_heads of a distiller, whose network has one'
            )
        for index, path in enumerate(norms):
            norm = find_module(backbone, path, 'BatchNormMargins.norms')
            weight, bias = (getattr(norm, k, None) for k in ('weight', 'bias'))
            if weight is None or bias is None or weight.ndim != 1:
                raise ValueError(
                    f'BatchNormMargins: norms has "{path}", a '
                    f'{type(norm).__name__}, which has no weight and bias '
                    'per channel; name a batch norm'
                )
            self.register_buffer(
                f'margin{index}', batch_norm_margin(weight, bias), False
            )
        self.num_stages = len(norms)

    def forward(self, *feats: Tensors) -> list[torch.Tensor]:
        """Return the margins."""
        return [getattr(self, f'margin{k}') for k in range(self.num_stages)]


@torch.no_grad()
def batch_norm_margin(
    weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Return the margin of every channel.

    Args:
        weight: (C,).
        bias: (C,).

    Returns:
        (1, C, 1, 1), of the type of ``weight``.
    """
    mean = bias.double()
    std = weight.double().abs().clamp(min=1e-12)
    ratio = mean / std
    density = torch.exp(-ratio.square() / 2) / (2 * torch.pi) ** 0.5
    negative = torch.special.ndtr(-ratio)
    margin = mean - std * density / negative.clamp(min=1e-3)
    margin = torch.where(negative > 1e-3, margin, -3 * std)
    return margin.to(weight.dtype).view(1, -1, 1, 1)
