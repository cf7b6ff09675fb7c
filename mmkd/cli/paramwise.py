"""Misspelt names of parameters, which mmengine would silently pass over."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.config import Config
from torch import nn

from mmkd.cli.frames import walk
from mmkd.cli.keys import one_letter_off

_NO_DIGITS = str.maketrans('', '', '0123456789')


def check_custom_keys(config: Config, model: nn.Module) -> None:
    """Refuse custom keys that match no parameter and nearly match some.

    A key that matches nothing and is like nothing stays: stock configs name
    parameters that only some variants of their network have.

    Raises:
        KeyError: names the key and what was meant.
    """
    names = [name for name, _ in model.named_parameters()]
    words = {word for name in names for word in name.split('.')}
    for path, value in walk(config.get('optim_wrapper'), 'optim_wrapper'):
        if not path.endswith('.custom_keys') or not isinstance(value, Mapping):
            continue
        for key in value:
            if any(key in name for name in names):
                continue
            near = _meant(key.split('.'), words)
            if near:
                raise KeyError(
                    f'{path} has the key "{key}", which is in the name of no '
                    f'parameter of the network; nearest: {near}'
                )


def _meant(parts: list[str], words: set[str]) -> str | None:
    """``parts`` with each misspelt word corrected, if every one can be."""
    found = []
    for part in parts:
        near = [
            word
            for word in sorted(words)
            if one_letter_off(part, word) and _letters(part) != _letters(word)
        ]
        if part not in words and not near:
            return None
        found.append(part if part in words else near[0])
    return '.'.join(found) if found != parts else None


def _letters(word: str) -> str:
    """``word`` without digits: layer4 is no misspelt layer3."""
    return word.translate(_NO_DIGITS)
