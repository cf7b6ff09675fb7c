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


# Where sharding and checkpointing of torch keep the module that they wrap.
_WRAPPERS = re.compile(r'(_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')


def find_module(network: nn.Module, path: str, key: str = 'path') -> nn.Module:
    """Return the module at dotted ``path``, which the config's ``key`` names.

    Raises:
        KeyError: there is none; the nearest names are listed.
    """
    modules: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        # a wrapper stands before what it wraps, and gives what that gives
        modules.setdefault(_WRAPPERS.sub('', f'{name}.')[:-1], module)
    if path in modules:
        return modules[path]
    near = difflib.get_close_matches(path, modules, n=3)
    raise KeyError(
        f'{key}="{path}": {type(network).__name__} has no such module'
        + (f'; nearest: {", ".join(near)}' if near else '')
        + ' (tools/list_taps.py CONFIG lists all)'
    )


@dataclass
class _Slot:
    """What one path recorded, and its version to notice in-place writes."""

    path: TapPath
    values: list[Any] = field(default_factory=list)
    versions: list[list[int]] = field(default_factory=list)
    frozen: bool = False

    def keep(self, value: Any) -> None:
        """Record ``value`` as it is now."""
        if not self.frozen:
            self.values.append(value)
            self.versions.append(_versions(value))


class Taps:
    """The taps of one network.

    Paths are looked up whenever a recording starts, so a module that was
    replaced meanwhile (by a SyncBN conversion, say) is found.

    Args:
        network: any module; it is not changed, and hooks are on it only
            while recording.
        paths: tap name -> path, or list of paths for a list of tensors.

    Raises:
        KeyError: a path names no module.
        TypeError: a tap is neither a path nor a list of paths.
        ValueError: a path is not of the form that is understood.
    """

    def __init__(
        self, network: nn.Module, paths: Mapping[str, str | Sequence[str]]
    ) -> None:
        self._network = network
        self._given = dict(paths)
        self.paths: dict[str, list[TapPath]] = {}
        self._is_list: dict[str, bool] = {}
        for name, given in paths.items():
            texts = [given] if isinstance(given, str) else given
            if not isinstance(texts, (list, tuple)) or not texts:
                raise TypeError(
                    f'tap {name}={given!r}: give a module path or a list of '
                    'module paths'
                )
            expanded = [path for text in texts for path in expand_braces(text)]
            parsed = [TapPath.parse(path) for path in expanded]
            self.paths[name] = parsed
            self._is_list[name] = not isinstance(given, str) or (
                len(parsed) > 1
            )
            for path in parsed:
                find_module(network, path.module, f'tap {name}')

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
                record.slots[name] = [_Slot(path) for path in paths]
                for slot in record.slots[name]:
                    module = self._network.get_submodule(slot.path.module)
                    hooks.enter_context(_hooked(module, slot))
            yield record

    def describe(self, name: str) -> str:
        """Return the path or paths of tap ``name`` as text."""
        return ', '.join(str(path) for path in self.paths[name])


@contextmanager
def _hooked(module: nn.Module, slot: _Slot) -> Iterator[None]:
    handle = (
        module.register_forward_pre_hook(
            lambda _, args, kwargs: slot.keep(args or tuple(kwargs.values())),
            with_kwargs=True,
        )
        if slot.path.end == 'input'
        else module.register_forward_hook(
            lambda _, args, output: slot.keep(output)
        )
    )
    try:
        yield
    finally:
        handle.remove()


def _versions(value: Any) -> list[int]:
    """Return how often each tensor in ``value`` was written in place."""
    if isinstance(value, (tuple, list)):
        return [version for entry in value for version in _versions(entry)]
    if isinstance(value, torch.Tensor) and not value.is_inference():
        return [value._version]
    return []


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
        if name not in self.slots:
            raise KeyError(
                f'"{name}" is not recorded; known: {", ".join(self.slots)}'
            )
        tensors: list[torch.Tensor] = []
        for slot in self.slots[name]:
            if not slot.values:
                raise RuntimeError(
                    f'tap {name}="{slot.path}": the module was not called in '
                    'this forward pass; tap another module'
                )
            for value, version in zip(slot.values, slot.versions, strict=True):
                if _versions(value) != version:
                    raise RuntimeError(
                        f'tap {name}="{slot.path}": the tensor was changed '
                        'in place by a following layer (an in-place '
                        'activation, say); tap the output of that layer'
                    )
                tensors.extend(_tensors(value, name, slot.path))
        if len(tensors) == 1 and not self._is_list[name]:
            return tensors[0]
        return tensors

    def call(self, number: int) -> Record:
        """Return what the ``number``-th call of every module recorded."""
        part = Record(self._is_list)
        for name, slots in self.slots.items():
            part.slots[name] = [
                _Slot(
                    slot.path,
                    slot.values[number : number + 1],
                    slot.versions[number : number + 1],
                )
                for slot in slots
            ]
        return part

    def freeze(self) -> None:
        """Ignore what the modules do from now on."""
        for slots in self.slots.values():
            for slot in slots:
                slot.frozen = True

    def ran(self, name: str) -> bool:
        """Return whether the modules of tap ``name`` were called."""
        return all(slot.values for slot in self.slots[name])


def _tensors(value: Any, name: str, path: TapPath) -> list[torch.Tensor]:
    """Return the tensors in what a module gave, or in its arguments."""
    index = path.index
    if path.end == 'input' and len(value) == 1:
        value = value[0]
        if isinstance(value, torch.Tensor) and index in (0, -1):
            index = None
    if index is not None:
        count = len(value) if isinstance(value, (tuple, list)) else 1
        if isinstance(value, torch.Tensor):
            raise ValueError(
                f'tap {name}="{path}": there is a single tensor, of shape '
                f'{tuple(value.shape)}; leave out the index [{index}]'
            )
        if not isinstance(value, (tuple, list)) or not (
            -count <= index < count
        ):
            raise ValueError(
                f'tap {name}="{path}": there is no entry {index} in a '
                f'{type(value).__name__} of {count}; correct the index'
            )
        value = value[index]
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)) and all(
        isinstance(entry, torch.Tensor) for entry in value
    ):
        return list(value)
    raise TypeError(
        f'tap {name}="{path}": there is a {type(value).__name__}, not a '
        'tensor or a tuple of tensors; add an index, e.g. '
        f'"{path}[0]", or tap a module inside it'
    )
