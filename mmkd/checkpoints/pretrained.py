"""Check the files that parts of a network start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mmkd.checkpoints.read import (
    describe_keys,
    read_checkpoint,
    strip_prefix,
)
from mmkd.utils.types import type_name


def check_pretrained(network: nn.Module) -> None:
    """Refuse files of ``init_cfg=dict(type='Pretrained')`` that do not fit.

    mmengine would only warn, and go on with random weights. A file fits if
    at least half of the module's tensors are in it, of the same shape.
    Addresses (``torchvision://`` and the like) are left to mmengine, the
    names in files of modules with ``convert_weights`` to these modules.

    Args:
        network: as built, before its weights are initialised.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read, or is that of another network.
    """
    for path, module in network.named_modules():
        configs = getattr(module, 'init_cfg', None)
        for config in configs if isinstance(configs, list) else [configs]:
            if config and starts_from_file(config):
                key = '.'.join(filter(None, ('model', path, 'init_cfg')))
                _check_file(key, module, config)


def starts_from_file(init_cfg: Mapping[str, Any]) -> bool:
    """Return whether ``init_cfg`` names a file."""
    return type_name(init_cfg.get('type')) in ('Pretrained', 'PretrainedInit')


def _check_file(
    key: str, module: nn.Module, config: Mapping[str, Any]
) -> None:
    file, prefix = config['checkpoint'], config.get('prefix')
    if '://' in file:
        return
    if not Path(file).is_file():
        raise FileNotFoundError(
            f'{key}.checkpoint="{file}" does not exist: train that network '
            'first or correct the path (relative paths start at the folder '
            'the command runs in)'
        )
    saved = read_checkpoint(file)['state_dict']
    if getattr(module, 'convert_weights', False):
        return
    if prefix is None:
        below = {k.removeprefix('module.'): v for k, v in saved.items()}
    else:
        below = strip_prefix(saved, f'{prefix.rstrip(".")}.')
    own = module.state_dict()
    fitting = sum(
        name in below and below[name].shape == value.shape
        for name, value in own.items()
    )
    if 2 * fitting < len(own):
        raise ValueError(
            f'{key}: only {fitting} of {len(own)} tensors of '
            f'{type(module).__name__} are in checkpoint="{file}" with '
            f'prefix={prefix!r}; it holds {describe_keys(saved)}. Give the '
            'file of a network like this one, or another prefix'
        )
