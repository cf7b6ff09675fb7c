"""How much two layers of two networks should learn from each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from torch import nn
from torch.nn import functional

from mmkd.models.losses.layerwise_pairs import different_peers
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class LayerMatchingNetwork(nn.Module):
    """Give every pair of layers of two peers a weight per sample (L-MCL).

    p_ik = normalize(Linear_ik(f_ik)), weight = sigmoid(p_ik . p_jz): between
    0.269 and 0.731, symmetric. PyTorch's default initialisation. Paper:
    https://arxiv.org/abs/2207.11518, section 3.5.

    Args:
        in_channels: widths of the features: one for all, one per peer, or
            nested, ``[peer][stage]``.
        num_stages: S; may be left out where the widths are nested.
        proj_dim: width of p.
        num_peers: N; may be left out where there is a width per peer.

    Shape:
        feats: N lists of S tensors (B, D), or (N, S, B, D).
        returns: (N, S, N, S, B); 0 between layers of one and the same peer.
            Half precision is computed in float32.

    Raises:
        ValueError: widths that do not say N or S, or contradict them.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int] | Sequence[Sequence[int]],
        num_stages: int | None = None,
        proj_dim: int = 128,
        num_peers: int | None = None,
    ) -> None:
        super().__init__()
        check_positive('LayerMatchingNetwork', 128, proj_dim=proj_dim)
        widths = _nested(in_channels, num_stages, num_peers)
        self.projections = ModuleList(
            ModuleList(nn.Linear(width, proj_dim) for width in stages)
            for stages in widths
        )
        self.in_channels = widths
        self.num_peers = len(widths)
        self.num_stages = len(widths[0])
        self.proj_dim = proj_dim

    def forward(
        self, feats: Sequence[Sequence[torch.Tensor]] | torch.Tensor
    ) -> torch.Tensor:
        """Return the weights of all pairs.

        Raises:
            ValueError: the features are not those of the config.
        """
        widths = [[int(stage.shape[-1]) for stage in peer] for peer in feats]
        if widths != self.in_channels:
            raise ValueError(
                f'LayerMatchingNetwork: in_channels={self.in_channels} '
                f'[peer][stage], but the features are {widths} wide; set '
                'in_channels to that'
            )
        points = [
            functional.normalize(at_least_float32(project(stage)), dim=1)
            for peer, layers in zip(feats, self.projections, strict=True)
            for stage, project in zip(peer, layers, strict=True)
        ]
        stacked = torch.stack(points, 1)
        with no_autocast(stacked):
            weights = (stacked @ stacked.transpose(1, 2)).sigmoid()
            other = different_peers(
                self.num_peers, self.num_stages, weights.device
            )
            weights = (weights * other).permute(1, 2, 0)
        size = (self.num_peers, self.num_stages)
        return weights.reshape(*size, *size, -1)


def _nested(
    in_channels: int | Sequence[int] | Sequence[Sequence[int]],
    num_stages: int | None,
    num_peers: int | None,
) -> list[list[int]]:
    """Return the widths as ``[peer][stage]``."""
    if isinstance(in_channels, int):
        if num_peers is None:
            raise ValueError(
                f'LayerMatchingNetwork: in_channels={in_channels} is one '
                'width for all; set num_peers, too'
            )
        in_channels = [in_channels] * num_peers
    widths: list[list[int]] = []
    for width in in_channels:
        if isinstance(width, int):
            if num_stages is None:
                raise ValueError(
                    f'LayerMatchingNetwork: in_channels={list(in_channels)} '
                    'has one width per peer; set num_stages, too'
                )
            widths.append([width] * num_stages)
        else:
            widths.append(list(width))
    stages = {len(layers) for layers in widths}
    if len(stages) != 1 or stages == {0}:
        raise ValueError(
            f'LayerMatchingNetwork: in_channels={widths}: every peer must '
            'have equally many stages, at least one'
        )
    for key, given, found in (
        ('num_peers', num_peers, len(widths)),
        ('num_stages', num_stages, stages.pop()),
    ):
        if given not in (None, found):
            raise ValueError(
                f'LayerMatchingNetwork: {key}={given}, but in_channels='
                f'{widths} are of {found}; set one of them'
            )
    return widths
