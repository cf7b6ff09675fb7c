"""Weights of networks that stand inside another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmkd.checkpoints.pretrained import starts_from_file
from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.strict import fit_weights
from mmkd.networks import build_network

PROPOSAL = 'proposal.'


def build_inner(spec: Any, role: str) -> Any:
    """Build a network that stands inside another one.

    Args:
        spec: the built network, a model dict, a config name, or
            ``dict(config=..., checkpoint=...)``.
        role: its name in messages.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(spec, nn.Module):
        return spec
    if not isinstance(spec, (str, Mapping)):
        raise TypeError(
            f'{role}={spec!r} is no network: give a model dict, a config '
            'name, or dict(config=..., checkpoint=...)'
        )
    checkpoint = None
    if isinstance(spec, Mapping):
        spec = dict(spec)
        if 'config' in spec:
            checkpoint = spec.pop('checkpoint', None)
    network: Any = build_network(spec, 'mmpretrain')
    if checkpoint is not None:
        network.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    return network


def load_whole(network: nn.Module, role: str) -> None:
    """Load the file that a network's ``init_cfg`` names; all must fit.

    mmengine would go on with random weights where a head has another number
    of classes. A patch classifier's file may stand for the plain network
    inside it.

    Args:
        network: with ``init_cfg=dict(type='Pretrained', checkpoint=...)``;
            without, nothing is done.
        role: its name in messages.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is that of another network.
    """
    config: Any = getattr(network, 'init_cfg', None)
    if not isinstance(config, Mapping) or not starts_from_file(config):
        return
    file = config['checkpoint']
    state = read_checkpoint(file)['state_dict']
    if not hasattr(network, 'proposal'):
        state = {k: v for k, v in state.items() if not k.startswith(PROPOSAL)}
    prefix = config.get('prefix')
    if prefix:
        prefix = f'{prefix.rstrip(".")}.'
        state = {
            key.removeprefix(prefix): value
            for key, value in state.items()
            if key.startswith(prefix)
        }
    fit_weights(network, state, file, strict=True, role=role)
