"""Batch norm with the statistics of parts of a batch."""

from __future__ import annotations

import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive


@MODELS.register_module()
class GroupedBatchNorm(_BatchNorm):
    """Batch norm whose training statistics are those of groups of samples.

    On one device as on several with ``group_size`` samples each: of a batch
    of B = G * group_size samples, group j has samples j, j + G, ...; each
    is normalised by itself, and the running averages take the mean of the
    groups' statistics. In eval mode, and in its state dict, it is PyTorch's
    batch norm. With ``norm_cfg=dict(type='mmkd.GroupedBatchNorm',
    group_size=32)`` in a network, momentum contrast is the same on one
    device as on eight (`BatchShuffle`).

    Args:
        num_features: C.
        group_size: samples of a group.
        eps, momentum, affine: see PyTorch's ``BatchNorm2d``.

    Shape:
        input, returns: (B, C) or (B, C, ...).
    """

    momentum: float
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(
        self,
        num_features: int,
        group_size: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine)
        check_positive('GroupedBatchNorm', 32, group_size=group_size)
        self.group_size = group_size

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the normalised input.

        Raises:
            ValueError: the batch is not made of whole groups.
        """
        if not self.training or len(inputs) == self.group_size:
            return super().forward(inputs)
        groups, rest = divmod(len(inputs), self.group_size)
        if rest or not groups:
            raise ValueError(
                f'GroupedBatchNorm: group_size={self.group_size} does not '
                f'divide the batch of {len(inputs)} samples of a process: '
                'set train_dataloader.batch_size to a multiple of it (with '
                'drop_last=True), or norm_cfg.group_size to a divisor of the '
                'batch'
            )
        # (B, C, ...) -> (group_size, G * C, ...), without a copy
        grouped = inputs.reshape(
            self.group_size, groups * self.num_features, *inputs.shape[2:]
        )
        mean = self.running_mean.repeat(groups)
        var = self.running_var.repeat(groups)
        weight, bias = (
            None if value is None else value.repeat(groups)
            for value in (self.weight, self.bias)
        )
        output = functional.batch_norm(
            grouped, mean, var, weight, bias, True, self.momentum, self.eps
        )
        with torch.no_grad():
            self.running_mean.copy_(mean.view(groups, -1).mean(0))
            self.running_var.copy_(var.view(groups, -1).mean(0))
            self.num_batches_tracked.add_(1)
        return output.view_as(inputs)

    def _check_input_dim(self, input: torch.Tensor) -> None:  # noqa: A002
        """Refuse what has no channels."""
        if input.ndim < 2:
            raise ValueError(
                f'GroupedBatchNorm: expected (B, C, ...), got '
                f'{tuple(input.shape)}'
            )

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return f'{super().extra_repr()}, group_size={self.group_size}'
