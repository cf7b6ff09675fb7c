"""Mistakes of the user as one line, mistakes of the program in full."""

from __future__ import annotations

import errno
import linecache
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

from mmengine.dist import get_rank, get_world_size
from mmengine.runner import BaseLoop

from mmkd.checkpoints.guard import only_plain_data
from mmkd.cli.peers import describe_lost, is_of_lost_process, tell_others
from mmkd.cli.quiet import without_advice

USER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    AssertionError,
    OSError,
    ImportError,
)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
EXIT_CODE = 2
# Of these, the message alone is enough.
_CLEAR = (ValueError, KeyError, FileNotFoundError, FloatingPointError)
# torch's text for an error in a worker: its traceback, then its own text.
_WORKER = re.compile(
    r'Caught \w+ in DataLoader worker process \d+\.\n'
    r'.*File "(?P<file>[^"]+)", line (?P<line>\d+), in [^\n]+'
    r'.*?\n[\w.]+: (?P<text>.*)',
    re.DOTALL,
)


@contextmanager
def one_line_errors(full: bool = False) -> Iterator[None]:
    """Turn what the user can correct into ``error: …`` and exit code 2.

    While a run is set up, every error of the types `USER_ERRORS` counts as
    such; once the loop runs, only those that mmkd raises on purpose and
    `FloatingPointError`. All others keep their traceback. Of several
    processes the one that fails speaks; the others, whose connection to it
    breaks, end in silence. Meanwhile files are read without running code
    from them (see `only_plain_data`), and other packages' advice about
    deprecated code is not shown.

    Args:
        full: keep the traceback of all; the variable ``MMKD_TRACEBACK=1``
            does the same.
    """
    full = full or os.environ.get('MMKD_TRACEBACK', '0') not in ('', '0')
    shown = logging.raiseExceptions
    logging.raiseExceptions = full  # a full disk: one traceback per message
    try:
        with nullcontext() if full else without_advice(), only_plain_data():
            yield
    except Exception as error:
        if full:
            raise
        lost = is_of_lost_process(error)
        if not lost:
            tell_others()
            if not is_user_error(error):
                raise
        text = describe_lost() if lost else describe(error)
        sys.stderr.write(f'{text}\n' if text else '')
        sys.stderr.flush()
        raise SystemExit(EXIT_CODE) from None
    finally:
        logging.raiseExceptions = shown


def is_user_error(error: Exception) -> bool:
    """Return whether the message of ``error`` says enough."""
    if isinstance(error, FloatingPointError):
        return True
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return True
    if not isinstance(error, USER_ERRORS) or not str(error):
        return False
    return not _in_loop(error.__traceback__) or raised_by_mmkd(error)


def describe(error: Exception) -> str:
    """Return ``error: message`` in one line, with the rank if several."""
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])  # str() would add quotes
    text = worker_text(error) or text
    if not isinstance(error, _CLEAR):
        text = f'{type(error).__name__}: {text}'
    rank = f' [rank {get_rank()}]' if get_world_size() > 1 else ''
    return f'error{rank}: {" ".join(text.split())}'


def worker_text(error: BaseException) -> str | None:
    """Return the message of an error in a data worker, or None."""
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    worker = _WORKER.match(text)
    return worker['text'].strip().strip('\'"') if worker else None


def _in_loop(trace: TracebackType | None) -> bool:
    """Return whether the error came out of a running loop."""
    return any(
        frame.f_code.co_name == 'run'
        and isinstance(frame.f_locals.get('self'), BaseLoop)
        for frame, _ in traceback.walk_tb(trace)
    )


def raised_by_mmkd(error: Exception) -> bool:
    """Return whether a ``raise`` of mmkd itself is the origin."""
    worker = _WORKER.match(str(error.args[0]) if error.args else '')
    if worker:
        source = linecache.getline(worker['file'], int(worker['line']))
        own = Path(__file__).parents[1] in Path(worker['file']).parents
        return own and source.lstrip().startswith('raise')
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    frame, line = frames[-1]
    module = str(frame.f_globals.get('__name__', ''))
    source = linecache.getline(frame.f_code.co_filename, line)
    return module.startswith('mmkd.') and source.lstrip().startswith('raise')
