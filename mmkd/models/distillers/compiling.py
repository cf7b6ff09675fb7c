"""``torch.compile`` for a network that is tapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn


def compile_between(
    network: nn.Module,
    tapped: Collection[str],
    options: Mapping[str, Any],
) -> list[str]:
    """Compile the largest parts of a network without a tap inside.

    Taps are hooks of modules and fire outside of compiled code: a tapped
    module may be compiled, one that holds a tapped module may not. Nothing
    is compiled before it first runs.

    Args:
        network: changed in place.
        tapped: paths of the modules with a tap.
        options: arguments of ``torch.compile``.

    Returns:
        Paths of the compiled modules.

    Raises:
        TypeError: an unknown option.
    """
    holding = {''}
    for name in tapped:
        parts = name.split('.')
        holding |= {'.'.join(parts[:k]) for k in range(1, len(parts))}
    compiled: list[str] = []
    for name, module in network.named_modules():
        inside = any(name.startswith(f'{done}.') for done in compiled)
        plain = type(module).forward is nn.Module.forward  # a container
        if name in holding or inside or plain:
            continue
        try:
            fast = torch.compile(module.forward, **options)
        except TypeError as error:
            raise TypeError(
                f'model.teacher.compile={dict(options)}: {error}'
            ) from error
        module.forward = fast
        compiled.append(name)
    return compiled
