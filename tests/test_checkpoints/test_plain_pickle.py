"""Pickles of data sets: arrays and plain types, nothing else."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmkd.checkpoints.plain_pickle import load_plain
from tests.support.crafted import Crafted

CIFAR_OF_PYTHON_2 = (
    b'\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\n'
    b'cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01K\x03\x86cnumpy\ndtype\n'
    b'U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
    b'K\x00tb\x89U\x03\x07\x08\xfftbU\x06labelsq\x03]q\x04(K\x06K\x09eu.'
)


def test_archive_of_python_2() -> None:
    found = load_plain(CIFAR_OF_PYTHON_2, 'x', encoding='latin1')
    assert found['labels'] == [6, 9]
    assert found['data'].dtype == np.uint8
    assert found['data'].tolist() == [[7, 8, 255]]


@pytest.mark.parametrize('protocol', range(2, 6))
def test_plain_data(protocol: int) -> None:
    data: dict[str, Any] = dict(
        a=[1, 2.5, 'é', b'\xff\x00', None, True, (1, {2})],
        b=np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::2],
        c=np.float64(3),
        d=bytearray(b'x'),
        e=np.arange(4, dtype=np.float32).reshape(2, 2),
        f=np.array(['x', 'yz']),
    )
    found = load_plain(pickle.dumps(data, protocol=protocol), 'x')
    assert found['a'] == data['a']
    assert np.array_equal(found['b'], data['b'])
    assert found['c'] == 3
    assert np.array_equal(found['e'], data['e'])
    assert found['e'].dtype == np.float32
    assert found['f'].tolist() == ['x', 'yz']


@pytest.mark.parametrize(
    'thing', [os.system, eval, getattr, OrderedDict, Path('x'), np.load]
)
def test_nothing_else(thing: Any) -> None:
    with pytest.raises(ValueError, match='"some.pkl" is not read: it asks'):
        load_plain(pickle.dumps([thing]), 'some.pkl')


def test_code_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / 'ran'
    content = pickle.dumps(dict(data=Crafted(marker)))
    with pytest.raises(ValueError, match='it asks for'):
        load_plain(content, 'x')
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists()


@pytest.mark.parametrize('content', [b'', b'<html>', b'\x80\x02}q\x01(U'])
def test_damaged(content: bytes) -> None:
    with pytest.raises(ValueError, match='"x" is not read'):
        load_plain(content, 'x')
