"""Files with weights that other programs read."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmkd.checkpoints.atomic import write_file
from mmkd.checkpoints.safetensors_file import SUFFIX, to_safetensors


def plain_state(network: nn.Module) -> OrderedDict[str, torch.Tensor]:
    """Return the ``state_dict`` of ``network`` as copies on the CPU."""
    state = network.state_dict()
    plain = OrderedDict(
        (key, value.detach().cpu().clone()) for key, value in state.items()
    )
    # Versions of the modules: without them, old key names are converted.
    # A hook of the network may have returned a dict that has none.
    versions = getattr(state, '_metadata', None)
    if versions is not None:
        plain._metadata = versions  # type: ignore[attr-defined]
    return plain


def write_weights(
    path: str | Path,
    state_dict: Mapping[str, torch.Tensor],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write weights; the file appears complete or not at all.

    Args:
        path: ends in ``.safetensors`` for that form; all else is a file of
            ``torch.save`` with ``state_dict`` and ``meta``.
        state_dict: tensors by name.
        meta: plain types.
    """
    if Path(path).suffix == SUFFIX:
        data = to_safetensors(state_dict, meta or {})
    else:
        content: dict[str, Any] = dict(state_dict=state_dict)
        if meta is not None:
            content = dict(meta=dict(meta), **content)
        with io.BytesIO() as buffer:
            torch.save(content, buffer)
            data = buffer.getvalue()
    write_file(path, data)
