"""Networks as soft filter pruning leaves them, without any training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def mask_at_random(
    network: nn.Module,
    rate: float = 0.3,
    seed: int = 0,
    exclude: str = 'downsample',
) -> nn.Module:
    """Zero random filters and make the state of all batch norms random.

    Args:
        network: changed in place.
        rate: share of filters of every convolution.
        seed: of the random numbers.
        exclude: convolutions whose path contains it are left alone.

    Returns:
        ``network`` in eval mode.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(size: int) -> torch.Tensor:
        return 0.3 * torch.randn(size, generator=generator)

    def uniform(size: int) -> torch.Tensor:
        return 0.4 + torch.rand(size, generator=generator)

    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            size = module.num_features
            module.weight.copy_(uniform(size))
            module.bias.copy_(normal(size))
            if module.running_mean is not None:
                module.running_mean.copy_(normal(size))
            if module.running_var is not None:
                module.running_var.copy_(uniform(size))
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            continue
        if exclude and exclude in name:
            continue
        rows = module.weight
        if module.transposed:
            rows = rows.transpose(0, 1)
        order = torch.randperm(len(rows), generator=generator)
        rows[order[: int(rate * len(rows))]] = 0
    return network.eval()
