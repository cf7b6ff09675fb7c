"""Weights of a file into the network that they belong to."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import nn

from mmkd.checkpoints.read import describe_keys


def fit_weights(
    network: nn.Module,
    state: dict[str, torch.Tensor],
    checkpoint: str | Path,
    *,
    strict: bool = True,
    role: str = 'network',
) -> None:
    """Load ``state`` into ``network``.

    Args:
        network: the built network.
        state: its ``state_dict``.
        checkpoint: where it comes from, for messages.
        strict: refuse keys that are missing, unexpected or of other shape.
        role: the network's name in messages, e.g. ``'teacher'``.

    Raises:
        ValueError: the weights do not fit.
    """
    try:  # with the conversions of old key names that networks bring along
        network.load_state_dict(state, strict=True)
        return
    except RuntimeError as error:
        own = network.state_dict()
        problems = _key_problems(own, state) or [str(error)]
    message = (
        f'{role} checkpoint="{checkpoint}" does not fit the '
        f'{type(network).__name__}: ' + '; '.join(problems)
    )
    fitting = {
        key: value
        for key, value in state.items()
        if key in own and own[key].shape == value.shape
    }
    if strict or not fitting:
        cure = 'Give the checkpoint of this very network'
        if fitting and role == 'teacher':
            cure += ', or set teacher=dict(strict=False) to load what fits'
        raise ValueError(f'{message}. {cure}')
    print_log(message, logger='current', level=logging.WARNING)
    network.load_state_dict(fitting, strict=False)


def _key_problems(
    own: dict[str, torch.Tensor], state: dict[str, torch.Tensor]
) -> list[str]:
    missing = own.keys() - state.keys()
    unexpected = state.keys() - own.keys()
    shared = own.keys() & state.keys()
    shapes = sorted(k for k in shared if own[k].shape != state[k].shape)
    problems = []
    if own and not shared:
        problems.append('no key matches (it is of another network)')
    if missing:
        problems.append(f'{len(missing)} missing: {describe_keys(missing)}')
    if unexpected:
        problems.append(
            f'{len(unexpected)} unexpected: {describe_keys(unexpected)}'
        )
    for key in shapes[:3]:
        problems.append(
            f'{key} is {tuple(state[key].shape)} in the file but '
            f'{tuple(own[key].shape)} in the network' + _class_hint(key)
        )
    return problems


def _class_hint(key: str) -> str:
    last = key.rsplit('.', 2)[-2] if '.' in key else key
    names = ('conv_seg', 'fc', 'fc_cls', 'cls', 'classifier')
    return ' (other class numbers)' if last in names else ''
