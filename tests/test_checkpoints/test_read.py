"""Reading checkpoints, honest ones and others."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch import nn

import mmkd  # noqa: F401  (allows mmengine's classes)
from mmkd.checkpoints.read import (
    describe_keys,
    read_checkpoint,
    strip_prefix,
)


class Evil:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.system, (f'touch {self.target}',)


class Attribute:
    """Unpickles as ``getattr(owner, name)``."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name

    def __reduce__(self) -> Any:
        return getattr, (self.owner, self.name)


class Called:
    """Unpickles as ``getattr(HistoryBuffer, 'mean')()``."""

    def __reduce__(self) -> Any:
        return HistoryBuffer.register_statistics, (print,)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).state_dict()


def test_reads_dict_and_bare_state(tmp_path: Path, state: Any) -> None:
    for content in (state, dict(state_dict=state, meta=dict(iter=3))):
        torch.save(content, tmp_path / 'x.pth')
        data = read_checkpoint(tmp_path / 'x.pth')
        assert data['state_dict'].keys() == state.keys()
        for key, value in state.items():
            assert torch.equal(data['state_dict'][key], value)
    assert data['meta'] == dict(iter=3)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='none.pth" does not exist'):
        read_checkpoint(tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('keep', [0, 10, 0.5, 0.99])
def test_cut_off_file(tmp_path: Path, state: Any, keep: float) -> None:
    torch.save(state, tmp_path / 'x.pth')
    content = (tmp_path / 'x.pth').read_bytes()
    length = keep if isinstance(keep, int) else int(len(content) * keep)
    (tmp_path / 'x.pth').write_bytes(content[:length])
    with pytest.raises(ValueError, match='x.pth"'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('text', ['<html>404</html>', 'error: 101', '0', ''])
def test_not_a_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / 'x.pth').write_text(text)
    with pytest.raises(ValueError, match='x.pth" is no checkpoint'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([torch.zeros(1)], 'holds a list'),
        (torch.zeros(1), 'holds a Tensor'),
        ({}, 'no weights'),
        (dict(state_dict={}), 'no weights'),
        (dict(epoch=3), 'no weights'),
    ],
)
def test_no_weights(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / 'x.pth')


def test_code_in_a_file_does_not_run(tmp_path: Path, state: Any) -> None:
    target = tmp_path / 'pwned'
    torch.save(dict(state_dict=state, x=Evil(target)), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='allow_pickle=True'):
        read_checkpoint(tmp_path / 'x.pth')
    assert not target.exists()
    read_checkpoint(tmp_path / 'x.pth', allow_pickle=True)
    assert target.exists()  # the attack works where it is let in


@pytest.mark.parametrize(
    'thing',
    [
        Attribute(HistoryBuffer, '__init__'),
        Attribute(HistoryBuffer, '_statistics_methods'),
        Attribute(np.ndarray, 'tofile'),
        Attribute(OrderedDict, 'fromkeys'),
        Called(),
    ],
    ids=['dunder', 'private', 'other-class', 'safe-class', 'call'],
)
def test_getattr_reaches_only_statistics(
    tmp_path: Path, state: Any, thing: Any
) -> None:
    """mmengine's log history needs getattr; it must be no way in."""
    torch.save(dict(state_dict=state, x=thing), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='allow_pickle=True'):
        read_checkpoint(tmp_path / 'x.pth')


def test_log_history_is_readable(tmp_path: Path, state: Any) -> None:
    buffer = HistoryBuffer()
    for value in (1.0, np.float64(2.0), 6):
        buffer.update(value)
    arrays = dict(a=np.arange(3), b=np.zeros(2, bool), c=np.float32(1.5))
    torch.save(
        dict(state_dict=state, message_hub=buffer, **arrays),
        tmp_path / 'x.pth',
    )
    data = read_checkpoint(tmp_path / 'x.pth')
    assert data['message_hub'].mean() == 3.0
    assert data['message_hub'].current() == 6.0
    assert np.array_equal(data['a'], np.arange(3))
    assert data['c'] == 1.5


def test_builtin_getattr_is_untouched() -> None:
    assert getattr(pickle, 'loads').__name__ == 'loads'  # noqa: B009


def test_strip_prefix_keeps_versions(state: Any) -> None:
    whole = nn.ModuleDict(dict(student=nn.BatchNorm2d(2))).state_dict()
    part = strip_prefix(whole, 'student.')
    assert list(part) == list(nn.BatchNorm2d(2).state_dict())
    assert part._metadata[''] == {'version': 2}
    assert strip_prefix(dict(a=1), 'b.') == {}


def test_describe_keys() -> None:
    assert describe_keys(['b', 'a']) == 'a, b'
    assert describe_keys(map(str, range(7)), most=2) == '0, 1 and 5 more'
