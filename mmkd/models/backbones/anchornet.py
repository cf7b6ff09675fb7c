"""AnchorNet's trunk: no padding, so that cells are windows of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmkd.models.backbones.cifar_backbone import KAIMING_FAN_OUT
from mmkd.registry import MODELS

# (expansion, channels, stride) of the published blocks; kernels are 3x3.
_STRIDED = ((1, 16, 2), (3, 24, 2))
_DENSE = ((4, 24, 1), (4, 48, 1), (2, 96, 1), (1.5, 96, 1), (1.5, 96, 1))
_STEM = 16
_STEM_FIELD, _STEM_JUMP, _KERNEL = 3, 2, 3


class SqueezeExcitation(nn.Module):
    """Gates of channels from their mean over the whole map."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.se1 = nn.Conv2d(channels, squeezed, 1)
        self.se2 = nn.Conv2d(squeezed, channels, 1)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape of x, (N, C, H, W)."""
        mean = x.mean((2, 3), keepdim=True)
        return x * self.se2(self.act(self.se1(mean))).sigmoid()


class AnchorBlock(nn.Module):
    """An inverted residual without padding.

    Its map is smaller than its input; the skip is the input's upper left
    part, so that both begin at the same pixel.

    Args:
        in_channels: of the input.
        expansion: of the depth-wise convolution's channels; 1 for none.
        out_channels: of the output.
        stride: of the depth-wise convolution.
        with_se: squeeze-excitation, a quarter of ``in_channels`` wide.

    Shape:
        input: (N, in_channels, H, W).
        returns: (N, out_channels, (H - 3) // stride + 1, the same of W).
    """

    def __init__(
        self,
        in_channels: int,
        expansion: float,
        out_channels: int,
        stride: int = 1,
        with_se: bool = True,
    ) -> None:
        super().__init__()
        width = int(expansion * in_channels)
        self.expands = expansion != 1
        if self.expands:
            self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(
            width, width, _KERNEL, stride, groups=width, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.se = (
            SqueezeExcitation(width, int(0.25 * in_channels))
            if with_se
            else None
        )
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.act = nn.SiLU(inplace=True)
        self.skips = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map."""
        out = x
        if self.expands:
            out = self.act(self.bn1(self.conv1(out)))
        out = self.act(self.bn2(self.conv2(out)))
        if self.se is not None:
            out = self.se(out)
        out = self.bn3(self.conv3(out))
        if self.skips:
            out = out + x[..., : out.shape[-2], : out.shape[-1]]
        return out


@MODELS.register_module()
class AnchorNetBackbone(BaseModule):
    """AnchorNet's light trunk, whose cells are windows of the image.

    No convolution pads, so cell (r, c) of the map sees exactly the window
    of ``patch_size`` pixels with the upper left corner
    (``stride * r``, ``stride * c``). Squeeze-excitation is the exception:
    its gates are means over the whole map. Paper: Localizing Semantic
    Patches for Accelerating Image Classification, arXiv 2206.03367; names
    of weights are those of the authors' program.

    Args:
        num_stride1_blocks: blocks after the last stride; each makes the
            windows 16 pixels larger. The first five are the published
            ones, further ones are like the fifth.
        with_se: squeeze-excitation in every block; False gives cells that
            depend on their windows alone.
        out_channels: channels of the maps.
        out_indices: numbers of the blocks whose maps are returned, each
            through a 1x1 convolution of its own, for patches of several
            sizes (arXiv 2002.03737; which blocks is our choice). Blocks 0
            and 1 have the strides 4 and 8. None is the last block.
        init_cfg: how `init_weights` sets the weights; None is the authors'
            way: normal by fan-out, batch norm 1 and 0.

    Attributes:
        patch_sizes, strides: of the windows of each map, in pixels.
        patch_size, stride: those of the last map.

    Shape:
        input: (N, 3, H, W), H and W at least ``patch_size``.
        returns: tuple of maps (N, ``out_channels``, g(H), g(W)), one per
            entry of ``out_indices``, g(S) = (S - patch_size) // stride + 1.

    Raises:
        ValueError: no such block, or the image is smaller than a window.
    """

    def __init__(
        self,
        num_stride1_blocks: int = 5,
        with_se: bool = True,
        out_channels: int = 512,
        out_indices: Sequence[int] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(KAIMING_FAN_OUT if init_cfg is None else init_cfg)
        if num_stride1_blocks < 1 or out_channels < 1:
            raise ValueError(
                f'AnchorNetBackbone: num_stride1_blocks={num_stride1_blocks}, '
                f'out_channels={out_channels}: set both to at least 1'
            )
        dense = [
            _DENSE[min(k, len(_DENSE) - 1)] for k in range(num_stride1_blocks)
        ]
        settings = [*_STRIDED, *dense]
        last = len(settings) - 1
        self.out_indices = _checked_indices(out_indices, last)
        self.conv1 = nn.Conv2d(3, _STEM, _KERNEL, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.act = nn.SiLU()
        self.bneck = nn.ModuleList()
        self.fields = [(_STEM_FIELD, _STEM_JUMP)]
        channels = [_STEM]
        for expansion, width, stride in settings:
            block = AnchorBlock(
                channels[-1], expansion, width, stride, with_se
            )
            self.bneck.append(block)
            channels.append(width)
            self.fields.append(next_field(*self.fields[-1], _KERNEL, stride))
        # the last block's keeps the published name
        self.exp_convs = nn.ModuleDict(
            {
                str(k): nn.Conv2d(channels[k + 1], out_channels, 1)
                for k in self.out_indices
                if k != last
            }
        )
        if last in self.out_indices:
            self.exp_conv = nn.Conv2d(channels[-1], out_channels, 1)
        self.out_channels = out_channels
        windows = [self.fields[k + 1] for k in self.out_indices]
        self.patch_sizes = tuple(size for size, _ in windows)
        self.strides = tuple(jump for _, jump in windows)
        self.patch_size, self.stride = windows[-1]

    @property
    def stage_names(self) -> list[tuple[str, ...]]:
        """Names of the modules of stem and blocks."""
        blocks = [(f'bneck.{k}',) for k in range(len(self.bneck))]
        return [('conv1', 'bn1', 'act'), *blocks]

    def grid_size(self, size: int, index: int = -1) -> int:
        """Return how many windows fit into ``size`` pixels.

        Args:
            size: height or width of the image.
            index: which of the maps.
        """
        windows = size - self.patch_sizes[index]
        return windows // self.strides[index] + 1

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one map for each of ``out_indices``."""
        height, width = x.shape[-2:]
        if min(height, width) < self.patch_size:
            size = self.patch_size
            raise ValueError(
                f'AnchorNet needs inputs of at least {size}x{size} pixels, '
                f'got {height}x{width}: enlarge the crop of the pipeline, or '
                'lower backbone.num_stride1_blocks (16 pixels each)'
            )
        x = self.act(self.bn1(self.conv1(x)))
        maps = []
        for index, block in enumerate(self.bneck):
            x = block(x)
            if index in self.out_indices:
                maps.append(self._projection(index)(x))
        return tuple(maps)

    def _projection(self, index: int) -> nn.Module:
        if index == len(self.bneck) - 1:
            return self.exp_conv
        return self.exp_convs[str(index)]


def next_field(
    size: int, jump: int, kernel: int, stride: int
) -> tuple[int, int]:
    """Return receptive field and jump after a convolution, in pixels."""
    return size + (kernel - 1) * jump, jump * stride


def window_corners(
    grid: Sequence[int], stride: int, device: torch.device | None = None
) -> Tensor:
    """Return the upper left pixels (y, x) of all cells, row by row.

    Shape:
        returns: (grid[0] * grid[1], 2), int64.
    """
    rows = torch.arange(grid[0], device=device) * stride
    columns = torch.arange(grid[1], device=device) * stride
    return torch.cartesian_prod(rows, columns)


def _checked_indices(given: Sequence[int] | None, last: int) -> tuple:
    indices = (last,) if given is None else tuple(given)
    wrong = [k for k in indices if not 0 <= k <= last]
    if wrong or not indices or sorted(set(indices)) != list(indices):
        raise ValueError(
            f'AnchorNetBackbone: out_indices={indices} must name blocks in '
            f'rising order, each once, from 0 to {last}'
        )
    return indices
