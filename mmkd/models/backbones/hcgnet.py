"""HCGNet, the hybrid connectivity gating network, for CIFAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import CIFARBackbone, check_choice
from mmkd.registry import MODELS

# arch -> growth rates of the three blocks
GROWTH = {'A1': (12, 24, 36), 'A2': (24, 36, 64)}
NUM_UNITS = 8


class BNReLUConv(nn.Sequential):
    """Batch norm, ReLU, convolution without bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=dilation * (kernel_size // 2),
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
        )


class SpatialContext(nn.Module):
    """Sum of all pixels, weighted by a softmax over H * W."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce (N, C, H, W) to (N, C)."""
        weights = self.conv(x).flatten(1).softmax(1)
        return torch.bmm(x.flatten(2), weights.unsqueeze(2)).squeeze(2)


class Squeeze(nn.Sequential):
    """Linear layer, batch norm, tanh on (N, C)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, out_channels),
            nn.BatchNorm1d(out_channels),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C).

        Raises:
            ValueError: a batch of one image in training.
        """
        if self[1].training and len(x) == 1:
            raise ValueError(
                'HCGNet: a batch of 1 image in training: the batch norms of '
                'its gates need 2 or more; raise '
                '`train_dataloader.batch_size` or set '
                '`train_dataloader.drop_last=True`'
            )
        return super().forward(x)


class UpdateForgetGate(nn.Module):
    """x * forget + update.

    ``forget`` (per channel) looks at the context of x; ``update`` (one
    number per channel) is a mixture of the contexts of two depthwise 3x3
    convolutions of x, of dilation 1 and 2.

    Args:
        channels: C.
        update_reduction: 2C is squeezed to 2C over this.
        forget_reduction: C is squeezed to C over this.

    Shape:
        input, returns: (N, C, H, W).
    """

    def __init__(
        self, channels: int, update_reduction: int, forget_reduction: int
    ) -> None:
        super().__init__()
        self.forget_context = SpatialContext(channels)
        inner = channels // forget_reduction
        self.forget = nn.Sequential(
            Squeeze(channels, inner), nn.Linear(inner, channels), nn.Sigmoid()
        )
        self.depthwise = nn.ModuleList(
            BNReLUConv(channels, channels, 3, groups=channels, dilation=d)
            for d in (1, 2)
        )
        self.contexts = nn.ModuleList(
            SpatialContext(channels) for _ in range(2)
        )
        inner = 2 * channels // update_reduction
        self.squeeze = Squeeze(2 * channels, inner)
        self.select = nn.ModuleList(
            nn.Linear(inner, channels) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate (N, C, H, W)."""
        forget = self.forget(self.forget_context(x))
        contexts = [
            context(conv(x))
            for conv, context in zip(
                self.depthwise, self.contexts, strict=True
            )
        ]
        hidden = self.squeeze(torch.cat(contexts, 1))
        scores = torch.stack([layer(hidden) for layer in self.select])
        update = (scores.softmax(0) * torch.stack(contexts)).sum(0)
        return torch.addcmul(
            update[..., None, None], x, forget[..., None, None]
        )


class HybridUnit(nn.Module):
    """Adds ``growth`` gated channels to its input."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            BNReLUConv(in_channels, 4 * growth, 1),
            BNReLUConv(4 * growth, growth, 3, groups=4),
        )
        self.gate = UpdateForgetGate(growth, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + growth, H, W)."""
        return torch.cat((x, self.gate(self.convs(x))), 1)


class Transition(nn.Module):
    """Fewer channels, ``stride`` times smaller, gated."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        inner = in_channels - (in_channels - out_channels) // 2
        self.convs = nn.Sequential(
            BNReLUConv(in_channels, inner, 1),
            BNReLUConv(inner, out_channels, 3, stride=stride),
        )
        self.gate = UpdateForgetGate(out_channels, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Run on (N, C, H, W)."""
        return self.gate(self.convs(x))


@MODELS.register_module()
class HCGNet(CIFARBackbone):
    """HCGNet: three blocks of 8 hybrid units.

    Stages 1 and 2 are a block and the transition behind it, which halves
    channels and resolution; stage 3 is a block. The last map has the final
    batch norm (``bn_last``) and ReLU. Initialisation is PyTorch's default.
    Paper: https://arxiv.org/abs/1908.09699.

    Args:
        arch: ``'A1'`` (growth 12, 24, 36; 414 channels at the end) or
            ``'A2'`` (24, 36, 64; 716 channels).
        out_indices: see `CIFARBackbone`.
        init_cfg: see `CIFARBackbone`.

    Raises:
        ValueError: an unknown ``arch``; in training, a batch of one image.
    """

    stem_names = ('conv1',)
    tail_names = ('bn_last', 'relu_last')

    def __init__(
        self,
        arch: str = 'A1',
        out_indices: Sequence[int] = (-1,),
        init_cfg: Any = None,
    ) -> None:
        super().__init__(out_indices, init_cfg)
        check_choice('HCGNet', 'arch', arch, GROWTH)
        self.growth = GROWTH[arch]
        self.stem_channels = 2 * self.growth[0]
        self.stage_strides = (2, 2, 1)
        channels, widths = self.stem_channels, []
        for growth, stride in zip(
            self.growth, self.stage_strides, strict=True
        ):
            channels = (channels + NUM_UNITS * growth) // stride
            widths.append(channels)
        self.stage_channels = tuple(widths)
        self.out_channels = channels

        self.conv1 = nn.Conv2d(3, self.stem_channels, 3, padding=1, bias=False)
        self._add_stages()
        self.bn_last = nn.BatchNorm2d(self.out_channels)
        self.relu_last = nn.ReLU()

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterator[nn.Module]:
        growth = self.growth[stage - 1]
        for _ in range(NUM_UNITS):
            yield HybridUnit(in_channels, growth)
            in_channels += growth
        if stride > 1:
            yield Transition(in_channels, in_channels // 2, stride)
