"""One message where one of several processes fails."""

from __future__ import annotations

import contextlib
import re

from mmengine.dist import get_rank, get_world_size
from torch import distributed

_KEY = 'mmkd/failed'
# What gloo and NCCL say of a process that is gone.
_GONE = re.compile(
    r'(connection (closed|reset) by|remote) (peer|process)|broken pipe|'
    r'socket closed|NCCL communicator was aborted|process has exited',
    re.IGNORECASE,
)


def tell_others() -> None:
    """Note that this process ends with a message of its own."""
    store = _store()
    if store is not None:
        with contextlib.suppress(RuntimeError):
            store.set(_KEY, str(get_rank()))


def is_of_lost_process(error: BaseException) -> bool:
    """Whether an error only says that another process is gone."""
    return (
        get_world_size() > 1
        and isinstance(error, RuntimeError)
        and _GONE.search(str(error)) is not None
    )


def describe_lost() -> str | None:
    """Return a line for a lost process; None if it gave its own message."""
    store = _store()
    try:
        if store is not None and store.check([_KEY]):
            return None
    except RuntimeError:
        pass  # the store was kept by the process that is gone
    return (
        f'error [rank {get_rank()}]: another process of this run ended '
        'without a message (killed, or out of memory?); --resume goes on '
        'from the last checkpoint'
    )


def _store() -> distributed.Store | None:
    if get_world_size() == 1:
        return None
    return distributed.distributed_c10d._get_default_store()
