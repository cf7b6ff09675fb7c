"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

GOLDEN = Path(__file__).parent / 'golden'

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_torch_seed() -> None:
    """Every test draws the same random tensors in any order of tests."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope='module')
def _no_default_scope() -> Iterator[None]:
    """Undo what fixtures of modules and sessions do to mmengine's scope."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(autouse=True)
def _keep_default_scope() -> Iterator[None]:
    """Undo what built runners and configs do to mmengine's global scope."""
    scopes = DefaultScope._instance_dict
    before = dict(scopes)
    yield
    scopes.clear()
    scopes.update(before)


@pytest.fixture(autouse=True)
def _new_message_hub() -> None:
    """Forget epochs and iterations that earlier tests' runners noted."""
    MessageHub._instance_dict.clear()


@pytest.fixture(autouse=True)
def _new_logger() -> None:
    """Forget loggers, and their levels, of earlier tests' runners."""
    MMLogger._instance_dict.clear()


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the real data sets, from the variable ``MMKD_DATA``."""
    value = os.environ.get('MMKD_DATA')
    if not value:
        pytest.skip('MMKD_DATA is not set: no folder with real data sets')
    root = Path(value).expanduser().resolve()
    if not root.is_dir():
        pytest.fail(f'MMKD_DATA={value!r} is not a folder')
    return root


@pytest.fixture(scope='session')
def golden() -> Callable[[str, str], dict[str, np.ndarray]]:
    """Reader of golden cases: ``golden('cirkd', '03_minibatch_p2p')``."""

    def read(method: str, case: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / method / f'{case}.npz') as arrays:
            return dict(arrays)

    return read
