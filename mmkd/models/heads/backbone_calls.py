"""In which order a backbone calls its modules, and what they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmkd.inputs import input_shapes
from mmkd.utils.meta_copy import meta_copy, meta_input


@dataclass(frozen=True)
class Call:
    """One module called by the forward of a backbone.

    Args:
        name: module name.
        entered: shape of what went in, batch first.
        given: shape of what came out.
        with_size: whether it gives tokens and their (height, width).
        direct: called by the backbone itself, not by a module inside.
    """

    name: str
    entered: tuple[int, ...]
    given: tuple[int, ...]
    with_size: bool
    direct: bool

    @property
    def keeps_shape(self) -> bool:
        """Whether input and output have the same shape."""
        return self.entered == self.given

    @property
    def channels(self) -> int:
        """Channels of the output: maps (N, C, H, W), tokens (N, L, C)."""
        return self.given[channel_dim(len(self.given))]

    @property
    def positions(self) -> int:
        """Number of positions of the output."""
        count = 1
        for size in self.given[1:]:
            count *= size
        return count // self.channels


def channel_dim(ndim: int) -> int:
    """Return where channels are: last for tokens, else second."""
    return 2 if ndim == 3 else 1


def forget_hooks(network: nn.Module) -> None:
    """Remove the forward hooks that a copy took over."""
    for module in network.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()


def record_calls(
    backbone: nn.Module, reader: str = 'HierarchicalBranches'
) -> tuple[list[Call], int]:
    """Run ``backbone`` without storage on one image of its usual size.

    Args:
        backbone: any.
        reader: who asks, for messages.

    Returns:
        The calls in the order in which they ended, and the channels of the
        last map.

    Raises:
        ValueError: it does not run on such an image.
    """
    shape = input_shapes(backbone)[0]
    if hasattr(backbone, 'make_stage'):  # of CIFAR's
        shape = (shape[0], 32, 32)
    clone = meta_copy(backbone)
    clone.eval()  # mmpretrain's returns nothing
    forget_hooks(clone)
    image = meta_input(clone, 1, *shape)
    calls: list[Call] = []
    running: list[str] = []

    def enter(name: str) -> Any:
        return lambda *_: running.append(name)

    def leave(name: str) -> Any:
        def keep(_: nn.Module, args: Any, output: Any) -> None:
            running.pop()
            with_size = (
                isinstance(output, tuple)
                and len(output) == 2
                and isinstance(output[1], tuple)
            )
            value = output[0] if with_size else output
            entered = args[0] if args else None
            if isinstance(value, torch.Tensor) and isinstance(
                entered, torch.Tensor
            ):
                calls.append(
                    Call(
                        name,
                        tuple(entered.shape),
                        tuple(value.shape),
                        with_size,
                        not running,
                    )
                )

        return keep

    for name, module in clone.named_modules():
        if name:
            module.register_forward_pre_hook(enter(name))
            module.register_forward_hook(leave(name))
    try:
        with torch.no_grad():
            output = clone(image)
    except Exception as error:  # whatever a backbone's forward does
        raise ValueError(
            f'{reader}: {type(backbone).__name__} does not run '
            f'on an image of {"x".join(map(str, shape))}, by which its '
            'stages are found: '
            f'{type(error).__name__}: {error}; use another backbone'
        ) from error
    while isinstance(output, (tuple, list)):
        output = output[-1]
    return calls, int(output.shape[channel_dim(output.dim())])
