"""Whether a file still is what was written: a SHA-256 beside it."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

from mmkd.checkpoints.atomic import sync_folder, write_file

SUFFIX = '.sha256'


def hash_file(path: str | Path) -> Path:
    """Return where the SHA-256 of ``path`` is, in the form of sha256sum."""
    path = Path(path)
    return path.with_name(path.name + SUFFIX)


def write_hashed(path: str | Path, data: bytes) -> None:
    """Write a file and its SHA-256; see `write_file`.

    Whenever this is cut short, ``path`` is the old file or the new one, and
    its hash fits or is missing.

    Raises:
        OSError: as there.
    """
    path, beside = Path(path), hash_file(path)
    if beside.exists():
        beside.unlink()
        sync_folder(path.parent)
    write_file(path, data)
    digest = hashlib.sha256(data).hexdigest()
    write_file(beside, f'{digest}  {path.name}\n'.encode())


def remove_hashed(path: str | Path) -> None:
    """Remove a file and its SHA-256."""
    hash_file(path).unlink(missing_ok=True)
    Path(path).unlink()


def damage(path: str | Path) -> str | None:
    """Say what is wrong with the bytes of a file, or return None.

    They are compared with the SHA-256 beside it; without one, with the sums
    that files of ``torch.save`` carry inside. Files that carry none pass.
    """
    beside = hash_file(path)
    wanted = _noted_sha256(beside)
    if wanted is None:
        return _zip_damage(path)
    if wanted == sha256_of(path):
        return None
    return (
        f'its content does not match {beside.name}, so it was damaged after '
        'it was written (or replaced: then remove that file)'
    )


def _noted_sha256(beside: Path) -> str | None:
    if not beside.is_file():
        return None
    text = beside.read_text('utf-8', errors='replace')
    noted = re.search(r'\b[0-9a-f]{64}\b', text.lower())
    return noted[0] if noted else None


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _zip_damage(path: str | Path) -> str | None:
    """Check the CRC-32 of each record; torch itself does not."""
    with Path(path).open('rb') as file:
        if file.read(2) != b'PK':
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            if not any(record.CRC for record in archive.infolist()):
                return None  # torch was told to write none
            bad = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        return f'it may be cut off: {error}'
    return None if bad is None else f'its record {bad} is damaged'
