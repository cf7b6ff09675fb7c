"""While a tool runs, no file that it opens can run code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.fileio.handlers.registry_utils import file_handlers

from mmkd.checkpoints.plain_pickle import PlainPickleHandler

_FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
_FORBID = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


@contextmanager
def only_plain_data() -> Iterator[None]:
    """Let every ``torch.load`` and ``mmengine.load`` read plain data only.

    Task repositories, timm and the like load files on their own, below
    torch 2.6 (and after downloads still) with a reader that runs code from
    them. Data workers inherit this. ``allow_pickle=True`` of `read_file`
    is not affected.
    """
    handlers = {key: file_handlers[key] for key in ('pkl', 'pickle')}
    file_handlers.update(dict.fromkeys(handlers, PlainPickleHandler()))
    try:
        with torch_loads(weights_only=True):
            yield
    finally:
        file_handlers.update(handlers)


@contextmanager
def torch_loads(*, weights_only: bool) -> Iterator[None]:
    """Overrule what callers of ``torch.load`` ask for, or stop doing so."""
    before = {key: os.environ.pop(key, None) for key in (_FORCE, _FORBID)}
    if weights_only:
        os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
