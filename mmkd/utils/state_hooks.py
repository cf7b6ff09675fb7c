"""State-dict hooks of a network that is part of another module.

Some networks rewrite their ``state_dict`` by a hook: mmpretrain's
``TimmClassifier`` and ``HuggingFaceClassifier`` rename their keys to those of
the library, ``LoRAModel`` drops most. Such hooks expect to be asked alone:
torch ignores the dict that a hook returns inside a larger module, and a hook
that drops keys drops those of its neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import nn


def confine_hooks(network: nn.Module) -> nn.Module:
    """Let hooks see the keys of their own module alone.

    Within a distiller, ``network`` then has the keys that it has by itself,
    below its prefix; its loading hooks read them as they are.

    Returns:
        ``network``, its hooks replaced in place.
    """
    for module in network.modules():
        hooks = module._state_dict_hooks
        for key, hook in hooks.items():
            if not isinstance(hook, _Confined):
                hooks[key] = _Confined(hook, module is network)
    return network


class _Confined:
    """A hook that is given, and changes, the keys below its prefix.

    Args:
        hook: as registered.
        renames: what it returns replaces them.
    """

    def __init__(self, hook: Callable[..., Any], renames: bool) -> None:
        self.hook = hook
        self.renames = renames

    def __call__(
        self, module: nn.Module, state: Any, prefix: str, metadata: Any
    ) -> None:
        own = OrderedDict(
            (key, state.pop(key))
            for key in list(state)
            if key.startswith(prefix)
        )
        versions = getattr(state, '_metadata', None)
        own._metadata = versions  # type: ignore[attr-defined]
        result = self.hook(module, own, prefix, metadata)
        state.update(own if result is None or not self.renames else result)
