"""Pickles of plain data: nothing in them is called but NumPy's arrays."""

from __future__ import annotations

import io
import pickle
from typing import IO, Any

import numpy as np
from mmengine.fileio import PickleHandler

_CORES = ('core', '_core')  # before and since NumPy 2
_MULTIARRAY = [f'numpy.{core}.multiarray' for core in _CORES]
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]


def _latin1(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, as protocol 2 writes bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'bytes are encoded as {encoding!r}')
    return text.encode(encoding)


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """Stand in for NumPy's function of this name, used by protocol 5."""
    return np.frombuffer(content, dtype).reshape(shape, order=order)


_ALLOWED: dict[tuple[str, str], Any] = {
    ('_codecs', 'encode'): _latin1,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    **{(module, '_reconstruct'): _RECONSTRUCT for module in _MULTIARRAY},
    **{(f'numpy.{c}.numeric', '_frombuffer'): _frombuffer for c in _CORES},
    **{
        (module, kind.__name__): kind
        for module in ('builtins', '__builtin__')
        for kind in (bytearray, set, frozenset)
    },
    **{(module, 'scalar'): _SCALAR for module in _MULTIARRAY},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few things that a file may name."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}; only numbers, text, bytes, '
                'lists, dicts and NumPy arrays are read'
            ) from None


def load_plain(data: bytes | IO[bytes], name: str, **kwargs: Any) -> Any:
    """Read a pickle of plain data.

    Args:
        data: the pickle, or a file open for reading.
        name: for messages.
        **kwargs: of ``pickle.Unpickler``, e.g. ``encoding``.

    Raises:
        ValueError: it holds something else, or is damaged.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        return _PlainUnpickler(file, **kwargs).load()
    except Exception as error:  # a damaged pickle may do anything
        raise ValueError(
            f'"{name}" is not read: {error or type(error).__name__}. It is '
            'damaged or not what it should be: get it again'
        ) from error


class PlainPickleHandler(PickleHandler):
    """Reads ``.pkl`` files of mmengine's ``load`` by `load_plain`."""

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read an open file."""
        return load_plain(file, getattr(file, 'name', '.pkl file'), **kwargs)
