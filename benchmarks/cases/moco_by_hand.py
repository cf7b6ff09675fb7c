"""A step of momentum contrast written out, in one process."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn


def moco_step(
    distiller: Any, optimizer: OptimWrapper, batch: dict
) -> Callable[[], None]:
    """The step of one encoder or of a cohort, each with a key encoder.

    Networks, heads and the loss are those of ``distiller``; queries are the
    embeddings of view 0, keys those of view 1 in another order.
    """
    (followers,) = distiller.followers_of_all()
    heads = [role.heads for role in distiller.roles[: len(followers)]]
    queries = nn.ModuleList(map(_encoder, distiller.trained, heads))
    keys = nn.ModuleList(map(_encoder, followers.networks, followers.heads))
    (part,) = distiller.parts
    loss = getattr(part.module, 'loss', part.module)

    def step() -> None:
        with optimizer.optim_context(distiller):
            data = distiller.data_preprocessor(copy.copy(batch), True)
            first, second = data['inputs']
            embeds = [encode(first) for encode in queries]
            with torch.no_grad():
                order = torch.randperm(len(second), device=second.device)
                back = order.argsort()
                shuffled = second[order]
                positives = [encode(shuffled)[back] for encode in keys]
            total: Any = sum(loss(embeds, positives).values())
        optimizer.update_params(total)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(keys.parameters()),
                list(queries.parameters()),
                1.0 - followers.momentum,
            )

    return step


class _Encoder(nn.Module):
    def __init__(self, network: Any, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.network.extract_feat(images)[-1])


def _encoder(network: nn.Module, heads: Any) -> _Encoder:
    (head,) = heads.values()
    return _Encoder(network, head)
