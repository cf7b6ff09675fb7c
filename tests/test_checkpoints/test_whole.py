"""Files that are complete or not there, and damage that is noticed."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.checkpoints.atomic import remove_partials, write_file
from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.whole import (
    damage,
    hash_file,
    remove_hashed,
    write_hashed,
)
from tests.support.killing import killed_at


def test_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / 'sub' / 'x.pth'
    write_hashed(path, b'content')
    assert path.read_bytes() == b'content'
    digest = hashlib.sha256(b'content').hexdigest()
    assert hash_file(path).read_text() == f'{digest}  x.pth\n'
    subprocess.run(
        ['sha256sum', '--check', 'x.pth.sha256'], cwd=path.parent, check=True
    )
    assert damage(path) is None
    remove_hashed(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize('place', ['write', 'fsync', 'replace'])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = tmp_path / 'x.pth'
    write_file(path, b'old')

    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    if place == 'write':
        # writing to this device fails as on a full disk
        (tmp_path / 'x.pth.partial').symlink_to('/dev/full')
    else:
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(OSError, match='No space left'):
        write_file(path, b'new' * 10**6)
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['x.pth']


def test_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / 'x.pth'
    contents = []
    for call in range(1, 100):
        write_hashed(path, b'old')
        died = killed_at(call, lambda: write_hashed(path, b'new'))
        contents.append(path.read_bytes())
        assert damage(path) is None
        assert [p.name for p in remove_partials(tmp_path, '*')] in (
            [],
            ['x.pth.partial'],
            ['x.pth.sha256.partial'],
        )
        if not died:
            break
    assert contents == sorted(contents, reverse=True)  # old, then new
    assert contents[0] == b'old'
    assert len(contents) >= 8


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / 'x.pth'
    content = os.urandom(40)
    write_hashed(path, content)
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert 'x.pth.sha256' in damage(path)


def test_damage_without_hash(tmp_path: Path) -> None:
    """Files of other programs carry sums inside."""
    path = tmp_path / 'x.pth'
    torch.save(dict(state_dict=dict(a=torch.zeros(1000))), path)
    assert damage(path) is None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert 'data/0 is damaged' in damage(path)
    torch.load(path)  # torch does not notice
    with pytest.raises(ValueError, match=r'x\.pth" cannot be read, its rec'):
        read_checkpoint(path)
    path.write_bytes(content[:3000])
    assert 'cut off' in damage(path)
    path.write_bytes(b'\x80something else')
    assert damage(path) is None  # the reader will complain


def test_hash_file_of_another_form(tmp_path: Path) -> None:
    path = tmp_path / 'x.pth'
    torch.save(dict(a=torch.zeros(2)), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for text in (f'SHA256 (x.pth) = {digest.upper()}', 'none', ''):
        hash_file(path).write_text(text)
        assert damage(path) is None
    hash_file(path).write_text(f'SHA256 (x.pth) = {"0" * 64}')
    assert 'does not match' in damage(path)


def test_files_without_sums_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('torch always writes sums')
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(a=torch.zeros(2)), tmp_path / 'x.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert damage(tmp_path / 'x.pth') is None


def test_partials_of_a_pattern(tmp_path: Path) -> None:
    for name in ('a.pth.partial', 'b.json.partial', 'c.pth'):
        (tmp_path / name).touch()
    assert remove_partials(tmp_path, '*.pth') == [tmp_path / 'a.pth.partial']
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['b.json.partial', 'c.pth']
