"""Classifiers of the CRD benchmark's repository (RepDistiller) for ours."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmkd.checkpoints.read import read_file

_KEYS = ('model', 'state_dict', 'net')


def read_repdistiller(path: str | Path) -> dict[str, Tensor]:
    """Return the weights in a checkpoint; no code of the file runs.

    Raises:
        ValueError: there are no weights in it.
    """
    with torch.serialization.safe_globals([argparse.Namespace]):
        content: Any = read_file(path)
    for key in _KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise ValueError(
            f'"{path}" holds no weights under {", ".join(_KEYS)}: give the '
            'checkpoint that its train_teacher.py wrote'
        )
    return content


def convert_classifier(
    state: Mapping[str, Tensor], network: nn.Module
) -> dict[str, Tensor]:
    """Rename weights whose tensors come in the order of ``network``.

    The networks of both are built from the same layers in the same order,
    under other names. Batch counters start at 0.

    Args:
        state: weights of the other repository, in the order of its modules.
        network: the classifier to rename for, with its head.

    Raises:
        ValueError: it is another network.
    """
    counters = 'num_batches_tracked'
    own = network.state_dict()
    given = [
        (key.removeprefix('module.'), value)
        for key, value in state.items()
        if not key.endswith(counters)
    ]
    wanted = [(k, v) for k, v in own.items() if not k.endswith(counters)]
    if len(given) != len(wanted):
        raise ValueError(
            f'the weights have {len(given)} tensors, the network has '
            f'{len(wanted)}: they are of another network; give its config'
        )
    renamed = {k: v for k, v in own.items() if k.endswith(counters)}
    for (name, target), (key, value) in zip(wanted, given, strict=True):
        same_kind = name.rpartition('.')[2] == key.rpartition('.')[2]
        if target.shape != value.shape or not same_kind:
            raise ValueError(
                f'"{key}" is {tuple(value.shape)}, but "{name}" of the '
                f'network is {tuple(target.shape)}: the weights are of '
                'another network; give its config'
            )
        renamed[name] = value
    return {key: renamed[key] for key in own}
