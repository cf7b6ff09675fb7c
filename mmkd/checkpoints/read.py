"""Reading and writing checkpoints without running code from the file."""

from __future__ import annotations

import _codecs
import pickle
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer

from mmkd.checkpoints.address import is_address, read_address
from mmkd.checkpoints.guard import torch_loads
from mmkd.checkpoints.safetensors_file import is_safetensors, read_safetensors
from mmkd.checkpoints.whole import damage

# what torch.load raises for a file that is cut off or overwritten
_DAMAGED = (
    RuntimeError, EOFError, OSError, KeyError, IndexError, ValueError,
)  # fmt: skip


def _history_statistic(owner: Any, name: str) -> Any:
    """Stand in for ``getattr`` while a checkpoint is read.

    mmengine's log history refers to its statistics by ``getattr``; this
    allows just these and nothing else.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'the checkpoint asks for {owner!r}.{name}, which is not allowed'
        )
    return getattr(owner, name)


def _history_statistic_py2(owner: Any, name: str) -> Any:
    return _history_statistic(owner, name)


def _pose_as_getattr(function: Any, module: str) -> None:
    """Give ``function`` the name by which torch finds an allowed global.

    That is the qualified name; in torch 2.4 the plain one.
    """
    function.__module__ = module
    function.__qualname__ = function.__name__ = 'getattr'


_pose_as_getattr(_history_statistic, 'builtins')
_pose_as_getattr(_history_statistic_py2, '__builtin__')


def _safe_classes() -> list[Any]:
    """What an mmengine checkpoint holds beside tensors and plain types."""
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = {
        type(np.dtype(kind)) for kind in np.typecodes['All'] if kind != 'O'
    }
    return [
        HistoryBuffer,
        _history_statistic,
        _history_statistic_py2,
        reconstruct,
        scalar,
        _codecs.encode,
        np.ndarray,
        np.dtype,
        *sorted(dtypes, key=lambda kind: kind.__name__),
    ]


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read mmengine checkpoints.

    Since torch 2.6 that is the default, and mmengine 0.10.7 cannot resume
    from its own files until its classes are listed.
    """
    torch.serialization.add_safe_globals(_safe_classes())


def read_checkpoint(
    path: str | Path, *, allow_pickle: bool = False
) -> dict[str, Any]:
    """Read a checkpoint file onto the CPU.

    Args:
        path: a local file, or an address (see `read_address`).
        allow_pickle: read arbitrary Python objects too. This can run code
            from the file: only for files that you trust, and local ones.

    Returns:
        The dict in the file; a bare ``state_dict`` is returned as
        ``dict(state_dict=...)``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds objects that are not
            allowed, or holds no weights.
    """
    if is_address(path):
        data = read_address(str(path))
    else:
        data = read_file(path, allow_pickle=allow_pickle)
    if not isinstance(data, dict):
        raise ValueError(
            f'checkpoint="{path}" holds a {type(data).__name__}, not a dict '
            'with weights: save network.state_dict() instead'
        )
    if not isinstance(data.get('state_dict'), dict):
        data = dict(state_dict=data)
    if not any(
        isinstance(v, torch.Tensor) for v in data['state_dict'].values()
    ):
        raise ValueError(f'checkpoint="{path}" holds no weights')
    return data


def read_file(
    path: str | Path,
    *,
    allow_pickle: bool = False,
    map_location: Any = 'cpu',
) -> Any:
    """Read a ``.safetensors`` file, or whatever ``torch.save`` wrote.

    See `read_checkpoint`; ``map_location`` is that of ``torch.load``.

    Raises:
        FileNotFoundError, ValueError: as there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'checkpoint="{path}" does not exist: train the network first or '
            'correct the path (relative paths start at the folder the '
            'command runs in)'
        )
    safetensors = is_safetensors(path)
    if not safetensors:
        _require_checkpoint(path)
    reason = damage(path)
    if reason is not None:
        raise ValueError(
            f'checkpoint="{path}" cannot be read, {reason}: copy or train it '
            'again'
        )
    if safetensors:
        return read_safetensors(path)
    try:
        with torch_loads(weights_only=not allow_pickle):
            return torch.load(
                path,
                map_location=map_location,
                weights_only=not allow_pickle,
            )
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'checkpoint="{path}" holds objects beside weights that mmkd does '
            'not read from an untrusted file; if you trust it, set '
            'allow_pickle=True (teacher), --allow-pickle (tools), or save '
            'its weights alone'
        ) from error
    except _DAMAGED as error:
        raise ValueError(
            f'checkpoint="{path}" cannot be read, it may be cut off: copy or '
            f'train it again ({_first_line(error)})'
        ) from error


def _require_checkpoint(path: Path) -> None:
    """Refuse text, error pages and the like, which pickle misreads."""
    with path.open('rb') as file:
        start = file.read(16)
    if not start.startswith((b'PK', b'\x80')):
        raise ValueError(
            f'checkpoint="{path}" is no checkpoint, it starts with {start!r}: '
            'a web page or a pointer file may lie there in its place; get '
            'the file again'
        )


def strip_prefix(state_dict: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries below ``prefix``, without it.

    The versions of the modules that wrote them are kept.
    """
    part = OrderedDict(_below(state_dict, prefix))
    versions = getattr(state_dict, '_metadata', None)
    if versions is not None:
        part._metadata = OrderedDict(  # type: ignore[attr-defined]
            {'': versions.get(prefix[:-1], {}), **_below(versions, prefix)}
        )
    return part


def _below(entries: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key[len(prefix) :]: value
        for key, value in entries.items()
        if key.startswith(prefix)
    }


def describe_keys(keys: Iterable[str], most: int = 5) -> str:
    """Return the first few of ``keys`` and how many more there are."""
    keys = sorted(keys)
    more = len(keys) - most
    return ', '.join(keys[:most]) + (f' and {more} more' if more > 0 else '')


def _first_line(error: Exception) -> str:
    return str(error).strip().split('\n')[0]
