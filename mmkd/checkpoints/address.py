"""Checkpoints given by an address, as in mmengine's ``init_cfg``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import (
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)


def _open_mmlab() -> dict[str, str]:
    return {**get_deprecated_model_names(), **get_external_models()}


_URLS = ('https', 'http')
# Schemes that stand for a list of names.
_NAMES: dict[str, Callable[[], Mapping[str, str]]] = {
    'torchvision': get_torchvision_models,
    'modelzoo': get_torchvision_models,
    'open-mmlab': _open_mmlab,
    'openmmlab': _open_mmlab,
    'mmcls': get_mmcls_models,
}


def is_address(path: str | Path) -> bool:
    """Return whether ``path`` is ``https://…``, ``torchvision://…``, ..."""
    return '://' in str(path) and not isinstance(path, Path)


def read_address(address: str) -> Any:
    """Download a file once, and read it without running code from it.

    Args:
        address: ``https://…``, ``http://…``, ``torchvision://…``,
            ``open-mmlab://…`` or ``mmcls://…``.

    Raises:
        ValueError: another scheme, an unknown name, a failed download or an
            unreadable file.
    """
    scheme, _, name = address.partition('://')
    if scheme not in (*_URLS, *_NAMES):
        raise ValueError(
            f'checkpoint="{address}": addresses start with '
            f'{", ".join((*_URLS, *_NAMES))} and ://; download others and '
            'give the path'
        )
    if scheme in _NAMES:
        names = _NAMES[scheme]()
        _require_name(address, name, names)
        if scheme == 'mmcls':  # mmengine would keep the backbone alone
            address = names[name]
    return CheckpointLoader.load_checkpoint(address, 'cpu', logger=None)


def _require_name(address: str, name: str, names: Iterable[str]) -> None:
    names = list(names)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3)
    raise ValueError(
        f'checkpoint="{address}": there is no "{name}" among the '
        f'{len(names)} names'
        + (f'; nearest: {", ".join(near)}' if near else '')
    )
