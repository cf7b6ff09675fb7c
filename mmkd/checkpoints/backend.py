"""The local disk for mmengine, with whole files and their hashes."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmkd.checkpoints.whole import remove_hashed, write_hashed

NAME = 'mmkd_hashed_local'


class HashedLocalBackend(LocalBackend):
    """Writes and removes files together with their SHA-256."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, all or none; see `write_hashed`."""
        write_hashed(filepath, obj)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file and its hash."""
        if Path(filepath).is_dir():
            raise IsADirectoryError(f'"{filepath}" is a folder, no file')
        remove_hashed(filepath)


register_backend(NAME, HashedLocalBackend, force=True)
