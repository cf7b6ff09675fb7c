"""What the CIFAR backbones have in common: stem, stages, tail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

# Normal, std = sqrt(2 / (k * k * out_channels)); batch norm 1 and 0.
KAIMING_FAN_OUT: list[dict[str, Any]] = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1.0, bias=0.0),
]


class CIFARBackbone(BaseModule):
    """A stem, the stages ``layer1``, ``layer2``, ... and, maybe, a tail.

    The tail is what stands between the last stage and pooling, such as the
    final batch norm of a pre-activation network. Nothing is written in place
    but the batch norms inside a block, so stem, stages, blocks, their sums
    and the tail can be tapped, and a stage can feed several networks.

    A subclass sets ``num_stages``, the names of its stem and tail modules,
    ``default_init`` and `_blocks`; it creates the stem, calls `_add_stages`
    and creates the tail.

    Args:
        out_indices: which stages to return, counted from 0; negative numbers
            count from the last.
        init_cfg: how `init_weights` sets the weights, see mmengine; None is
            the subclass's own way.

    Attributes:
        stage_names: module names in forward order, one group for the stem
            (group 0; empty if there is none), one for each stage (group k is
            stage k) and one for the tail if there is one.
        stem_channels: channels that stage 1 gets.
        stage_channels: channels after each stage, before the tail.
        stage_strides: by how much each stage reduces H and W.
        out_channels: channels of the last map, which pooling reads.

    Shape:
        input: (N, 3, H, W), made for 32x32.
        returns: tuple of maps, one per entry of ``out_indices``. The map of
            the last stage is what comes out of the tail; the stage's own
            output is the tap ``layer<S>``.

    Raises:
        ValueError: ``out_indices`` names no stage, or one twice.
    """

    num_stages = 3
    stem_names: tuple[str, ...] = ('conv1', 'bn1', 'relu')
    tail_names: tuple[str, ...] = ()
    default_init: list[dict[str, Any]] | None = None
    stem_channels: int
    stage_channels: tuple[int, ...]
    stage_strides: tuple[int, ...]
    out_channels: int

    def __init__(
        self, out_indices: Sequence[int], init_cfg: Any = None
    ) -> None:
        super().__init__(self.default_init if init_cfg is None else init_cfg)
        count = self.num_stages
        wrong = [k for k in out_indices if not -count <= k < count]
        stages = {k % count for k in out_indices}
        if wrong or not stages or len(stages) < len(out_indices):
            raise ValueError(
                f'{type(self).__name__}: out_indices={tuple(out_indices)} '
                f'must name each stage once at most, of the {count} stages '
                f'0 to {count - 1} (-1 is the last)'
            )
        self.out_indices = tuple(sorted(stages))

    @property
    def stage_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the modules of stem, stages and tail."""
        stages = [(f'layer{k}',) for k in range(1, self.num_stages + 1)]
        tail = [self.tail_names] if self.tail_names else []
        return (self.stem_names, *stages, *tail)

    def make_stage(
        self,
        stage: int,
        in_channels: int | None = None,
        stride: int | None = None,
    ) -> nn.Sequential:
        """Return a new stage like number ``stage``, counted from 1.

        Its weights are PyTorch's defaults.

        Args:
            stage: 1 to ``num_stages``.
            in_channels: None takes what the stage gets in this network.
            stride: None takes the stage's own.
        """
        if in_channels is None:
            before = (self.stem_channels, *self.stage_channels)
            in_channels = before[stage - 1]
        if stride is None:
            stride = self.stage_strides[stage - 1]
        return nn.Sequential(*self._blocks(stage, in_channels, stride))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of the stages in ``out_indices``."""
        names = list(self.stage_names[: self.num_stages + 1])
        names[-1] = (*names[-1], *self.tail_names)
        stem, stages = names[0], names[1:]
        maps = []
        for name in stem:
            x = getattr(self, name)(x)
        for index, stage in enumerate(stages):
            for name in stage:
                x = getattr(self, name)(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def _add_stages(self) -> None:
        for stage in range(1, self.num_stages + 1):
            self.add_module(f'layer{stage}', self.make_stage(stage))

    def _blocks(
        self, stage: int, in_channels: int, stride: int
    ) -> Iterable[nn.Module]:
        """Return the modules of one stage."""
        raise NotImplementedError


def check_choice(owner: str, name: str, value: Any, known: Iterable) -> None:
    """Refuse a value that is none of ``known``.

    Raises:
        ValueError: names the allowed values.
    """
    known = list(known)
    if value not in known:
        raise ValueError(
            f'{owner}: {name}={value!r} is not known; set `{name}` to one '
            f'of {", ".join(map(repr, known))}'
        )
