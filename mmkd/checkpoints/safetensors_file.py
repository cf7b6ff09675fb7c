"""Weights as ``.safetensors``: tensors by name, and text about them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

SUFFIX = '.safetensors'
_META = 'mmkd'  # JSON: our meta data and the versions of the modules


def is_safetensors(path: str | Path) -> bool:
    """Tell by the name, or by the header: its length, then JSON."""
    path = Path(path)
    if path.suffix == SUFFIX:
        return True
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        return file.read(1) == b'{' and length < path.stat().st_size


def to_safetensors(
    state_dict: Mapping[str, torch.Tensor], meta: Mapping[str, Any]
) -> bytes:
    """Return the content of a file.

    Args:
        state_dict: tensors by name; those that share memory are copied.
        meta: plain types. It and the versions of modules are kept as text.
    """
    tensors = {
        key: value.detach().cpu().contiguous().clone()
        for key, value in state_dict.items()
    }
    versions = getattr(state_dict, '_metadata', None)
    text = json.dumps(dict(meta=dict(meta), versions=versions))
    return save(tensors, metadata={'format': 'pt', _META: text})


def read_safetensors(path: str | Path) -> dict[str, Any]:
    """Return ``dict(state_dict=..., meta=...)`` on the CPU.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with safe_open(str(path), framework='pt') as file:
            names = file.keys()
            state = OrderedDict((key, file.get_tensor(key)) for key in names)
            text = (file.metadata() or {}).get(_META, '{}')
        own = json.loads(text)
        versions = own.get('versions')
        meta = own.get('meta', {})
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f'checkpoint="{path}" cannot be read, it may be cut off: copy or '
            f'export it again ({error})'
        ) from error
    if versions is not None:
        state._metadata = OrderedDict(versions)  # type: ignore[attr-defined]
    return dict(state_dict=state, meta=meta)
