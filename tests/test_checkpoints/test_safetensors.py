"""Weights as ``.safetensors``, in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import load_file, save_file
from torch import nn

from mmkd.checkpoints.read import read_checkpoint, strip_prefix
from mmkd.checkpoints.write import write_weights


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'x.safetensors'
    state = network().state_dict()
    meta = dict(dataset_meta=dict(classes=['a', 'b']))
    write_weights(path, state, meta)
    saved = read_checkpoint(path)
    assert saved['meta'] == meta
    assert list(saved['state_dict']) == sorted(state)
    for key, value in state.items():
        assert torch.equal(saved['state_dict'][key], value)
    part = strip_prefix(saved['state_dict'], '1.')
    assert part._metadata[''] == {'version': 2}  # as torch.save keeps it
    assert load_file(path).keys() == state.keys()
    network().load_state_dict(load_file(path), strict=True)
    assert not list(path.parent.glob('*.partial'))


def test_what_the_format_cannot_hold_as_it_is(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = dict(a=shared, b=shared, c=shared.T, d=torch.tensor(1))
    write_weights(tmp_path / 'x.safetensors', state)
    found = read_checkpoint(tmp_path / 'x.safetensors')['state_dict']
    for key, value in state.items():
        assert torch.equal(found[key], value)


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth'])
def test_files_of_other_programs(tmp_path: Path, name: str) -> None:
    """Told by the content too; bfloat16 is kept."""
    state = dict(a=torch.ones(2, dtype=torch.bfloat16))
    save_file(state, tmp_path / name)
    saved = read_checkpoint(tmp_path / name)
    assert saved['state_dict']['a'].dtype == torch.bfloat16
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / name), 'cpu')
    assert torch.equal(loaded['state_dict']['a'], state['a'])


@pytest.mark.parametrize('size', [0, 5, 20, -1])
def test_damaged(tmp_path: Path, size: int) -> None:
    path = tmp_path / 'x.safetensors'
    save_file(dict(a=torch.ones(9)), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r'x\.safetensors" cannot be read'):
        read_checkpoint(path)


def test_foreign_text_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / 'x.safetensors'
    save_file(dict(a=torch.ones(9)), path, metadata=dict(mmkd='[1'))
    with pytest.raises(ValueError, match=r'x\.safetensors" cannot be read'):
        read_checkpoint(path)
    save_file(dict(a=torch.ones(9)), path, metadata=dict(mmkd='[1]'))
    with pytest.raises(ValueError, match=r'x\.safetensors" cannot be read'):
        read_checkpoint(path)
    save_file(dict(a=torch.ones(9)), path, metadata=dict(x=json.dumps(1)))
    assert read_checkpoint(path)['meta'] == {}
