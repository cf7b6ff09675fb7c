"""Taps: named tensors inside a network, found by module path.

A tap's path is ``'module.path'`` with, optionally, ``:input`` or ``:output``
(the default) and an index: ``'decode_head.conv_seg:input'``,
``'backbone[2]'``, ``'backbone.layer{1,2,3}'`` (a list of three). Nothing here
knows of distillation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Tensors = torch.Tensor | list[torch.Tensor]
_PATH = re.compile(
    r'^(?P<module>[\w.]*)(:(?P<end>input|output))?(\[(?P<index>-?\d+)\])?$'
)
_BRACES = re.compile(r'\{([^{}]*)\}')


@dataclass(frozen=True)
class TapPath:
    """One parsed path.

    Args:
        module: dotted name of the module.
        end: ``'input'`` or ``'output'``.
        index: which entry, where the module takes or gives several.
    """

    module: str
    end: str = 'output'
    index: int | None = None

    @classmethod
    def parse(cls, text: str) -> TapPath:
        """Read ``'a.b:input[0]'``.

        Raises:
            ValueError: ``text`` is not of that form.
        """
        match = _PATH.match(text)
        if match is None:
            raise ValueError(
                f'tap path "{text}" is not understood: write "module.path", '
                '"module.path:input", "module.path[0]" or "layer{1,2}"'
            )
        index = match['index']
        return cls(
            match['module'],
            match['end'] or 'output',
            None if index is None else int(index),
        )

    def __str__(self) -> str:
        end = ':input' if self.end == 'input' else ''
        index = '' if self.index is None else f'[{self.index}]'
        return f'{self.module}{end}{index}'


def expand_braces(text: str) -> list[str]:
    """Expand ``'layer{1,2}'`` to ``['layer1', 'layer2']``."""
    match = _BRACES.search(text)
    if match is None:
        return [text]
    head, tail = text[: match.start()], text[match.end() :]
    return [
        whole
        for choice in match[1].split(',')
        for whole in expand_braces(head + choice.strip() + tail)
    ]


def find_module(network: nn.Module, path: str, tap: str = '') -> nn.Module:
    """Return the module at dotted ``path``.

    Raises:
        KeyError: there is none; the nearest names are listed.
    """
    modules = dict(network.named_modules())
    if path in modules:
        return modules[path]
    near = difflib.get_close_matches(path, modules, n=3, cutoff=0.0)
    label = f'tap {tap}="{path}"' if tap else f'path "{path}"'
    raise KeyError(
        f'{label}: {type(network).__name__} has no such module; nearest: '
        f'{", ".join(near)} (tools/list_taps.py CONFIG lists all)'
    )


@dataclass
class _Slot:
    """What one path recorded, and its version to notice in-place writes."""

    path: TapPath
    values: list[Any] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    frozen: bool = False


class Taps:
    """The taps of one network.

    Args:
        network: any module; it is not changed, and hooks are on it only
            while recording.
        paths: tap name -> path, or list of paths for a list of tensors.

    Raises:
        KeyError: a path names no module.
    """

    def __init__(
        self, network: nn.Module, paths: Mapping[str, str | Sequence[str]]
    ) -> None:
        self._given = dict(paths)
        self.paths: dict[str, list[TapPath]] = {}
        self._is_list: dict[str, bool] = {}
        self._modules: dict[str, list[nn.Module]] = {}
        for name, given in paths.items():
            texts = [given] if isinstance(given, str) else list(given)
            expanded = [path for text in texts for path in expand_braces(text)]
            parsed = [TapPath.parse(path) for path in expanded]
            self.paths[name] = parsed
            self._is_list[name] = not isinstance(given, str) or (
                len(parsed) > 1
            )
            self._modules[name] = [
                find_module(network, path.module, name) for path in parsed
            ]

    def on(self, network: nn.Module) -> Taps:
        """Return the same taps on another (copied) network."""
        return Taps(network, self._given)

    @contextmanager
    def recording(self) -> Iterator[Record]:
        """Record the taps during the ``with`` block.

        >>> with taps.recording() as record:
        ...     network(images)
        >>> record['feats']
        """
        record = Record(self._is_list)
        with ExitStack() as hooks:
            for name, paths in self.paths.items():
                for path, module in zip(
                    paths, self._modules[name], strict=True
                ):
                    slot = _Slot(path)
                    record.slots.setdefault(name, []).append(slot)
                    hooks.enter_context(_hooked(module, slot))
            yield record

    def describe(self, name: str) -> str:
        """Return the path or paths of tap ``name`` as text."""
        return ', '.join(str(path) for path in self.paths[name])


@contextmanager
def _hooked(module: nn.Module, slot: _Slot) -> Iterator[None]:
    def keep(value: Any) -> None:
        if slot.frozen:
            return
        if slot.path.index is not None:
            value = value[slot.path.index]
        slot.values.append(value)
        slot.versions.append(_version(value))

    if slot.path.end == 'input':
        handle = module.register_forward_pre_hook(
            lambda _, args, kwargs: keep(
                args[0]
                if len(args) == 1 and slot.path.index is None
                else args or tuple(kwargs.values())
            ),
            with_kwargs=True,
        )
    else:
        handle = module.register_forward_hook(
            lambda _, args, output: keep(output)
        )
    try:
        yield
    finally:
        handle.remove()


def _version(value: Any) -> int:
    if isinstance(value, torch.Tensor) and not value.is_inference():
        return value._version
    return 0


class Record:
    """The tensors of one forward pass, by tap name."""

    def __init__(self, is_list: Mapping[str, bool]) -> None:
        self.slots: dict[str, list[_Slot]] = {}
        self._is_list = is_list

    def __getitem__(self, name: str) -> Tensors:
        """Return the tensor of tap ``name`` (a list for a list of paths,
        for a module that gives several, or that ran several times).

        Raises:
            KeyError: the tap is unknown.
            RuntimeError: its module did not run, or the tensor was
                overwritten in place after it was recorded.
        """
        tensors: list[torch.Tensor] = []
        for slot in self.slots[name]:
            if not slot.values:
                raise RuntimeError(
                    f'tap {name}="{slot.path}": the module was not called in '
                    'this forward pass; tap another module'
                )
            for value, version in zip(slot.values, slot.versions, strict=True):
                if _version(value) != version:
                    raise RuntimeError(
                        f'tap {name}="{slot.path}": the tensor was changed '
                        'in place by a following layer (an in-place '
                        'activation, say); tap the output of that layer'
                    )
                tensors.extend(_tensors(value, name, slot.path))
        if len(tensors) == 1 and not self._is_list[name]:
            return tensors[0]
        return tensors

    def freeze(self) -> None:
        """Ignore what the modules do from now on."""
        for slots in self.slots.values():
            for slot in slots:
                slot.frozen = True

    def ran(self, name: str) -> bool:
        """Return whether the modules of tap ``name`` were called."""
        return all(slot.values for slot in self.slots[name])

    def as_dict(self) -> dict[str, Tensors]:
        """Return all taps."""
        return {name: self[name] for name in self.slots}


def _tensors(value: Any, name: str, path: TapPath) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)) and all(
        isinstance(entry, torch.Tensor) for entry in value
    ):
        return list(value)
    raise TypeError(
        f'tap {name}="{path}": the module gives a {type(value).__name__}, '
        'not a tensor or a tuple of tensors; add an index, e.g. '
        f'"{path}[0]", or tap a module inside it'
    )
