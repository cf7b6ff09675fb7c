"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

PARTIAL = '.partial'


def write_file(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which keeps its old content until then.

    The bytes go to ``<path>.partial`` in the same folder, onto the disk, and
    only then get their name. A kill leaves at most the partial file.

    Raises:
        OSError: e.g. the disk is full; no partial file is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: str | Path) -> None:
    """Bring new and removed names of ``folder`` onto the disk."""
    if os.name == 'nt':  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems have no such call
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_partials(folder: str | Path, pattern: str) -> list[Path]:
    """Remove what kills left of files whose names fit ``pattern``."""
    found = sorted(Path(folder).glob(pattern + PARTIAL))
    for path in found:
        path.unlink(missing_ok=True)
    return found
