"""Programs that die at a chosen system call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXIT_CODE = 9


def killed_at(call: int, run: Callable[[], Any]) -> bool:
    """Run in a child that dies, without any clean-up, at a system call.

    Args:
        call: the how many-th of those that change names of files or bring
            bytes onto the disk, from 1.
        run: what the child does.

    Returns:
        Whether it died; else it ended before.
    """
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, EXIT_CODE), code
        return code == EXIT_CODE
    try:
        _die_at(call)
        run()
        os._exit(0)
    finally:
        os._exit(1)  # an error: its traceback is printed before


def _die_at(call: int) -> None:
    count = 0

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                os._exit(EXIT_CODE)
            return function(*args, **kwargs)

        return replacement

    for name in ('replace', 'fsync'):
        setattr(os, name, dying(getattr(os, name)))
    for name in ('unlink',):
        setattr(Path, name, dying(getattr(Path, name)))
    os.remove = dying(os.remove)
