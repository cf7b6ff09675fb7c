"""Files of ``load_from``: of this network, of a part of it, of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.checkpoints.fit import check_load_from


def network(width: int = 4, classes: int = 3) -> nn.ModuleDict:
    backbone = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width))
    head = nn.ModuleDict(dict(fc=nn.Linear(width, classes)))
    return nn.ModuleDict(dict(backbone=backbone, head=head))


def distiller() -> nn.ModuleDict:
    losses = nn.ModuleDict(dict(kd=nn.Linear(2, 2)))
    return nn.ModuleDict(dict(student=network(), losses=losses))


def cohort() -> nn.ModuleDict:
    peers = nn.ModuleList([network(), network()])
    return nn.ModuleDict(dict(cohort=nn.ModuleDict(dict(peers=peers))))


@pytest.fixture
def save(tmp_path: Path) -> Any:
    def write(module: nn.Module, prefix: str = '', bare: bool = False) -> str:
        state = {prefix + k: v for k, v in module.state_dict().items()}
        path = tmp_path / 'x.pth'
        torch.save(state if bare else dict(state_dict=state), path)
        return str(path)

    return write


@pytest.mark.parametrize('bare', [True, False])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_own_file(save: Any, prefix: str, bare: bool) -> None:
    path = save(network(), prefix, bare)
    line = f'load_from="{path}": 8 of 8 tensors of the model are in the file'
    assert check_load_from(network(), path).startswith(line)


def test_allowed_parts(save: Any) -> None:
    found = check_load_from(network(), save(network(classes=9)))
    assert ': 6 of 8 tensors' in found
    assert '2 of the file are not used' in found
    fc = save(network().head, 'head.')  # all of the file, little of the model
    assert ': 2 of 8 tensors' in check_load_from(network(), fc)


def test_another_network(save: Any) -> None:
    with pytest.raises(ValueError) as caught:
        check_load_from(network(), save(nn.Conv2d(2, 2, 1), 'stem.'))
    text = str(caught.value)
    assert 'not of this ModuleDict: 0 of its 8 tensors are among the 2' in text
    assert 'Give the file of this network. The file has stem.weight' in text
    assert 'load_from_partial' not in text  # nothing fits


def test_other_width(save: Any) -> None:
    path = save(network(width=8))
    with pytest.raises(ValueError, match=r'e\.g\. backbone\.0\.weight \(8, 8'):
        check_load_from(network(), path)
    with pytest.raises(ValueError, match='set load_from_partial=True'):
        check_load_from(network(), path)  # the bias of the head fits
    assert ': 1 of 8 tensors' in check_load_from(network(), path, True)


def test_partial_needs_one_tensor(save: Any) -> None:
    path = save(nn.Conv2d(2, 2, 1), 'stem.')
    with pytest.raises(ValueError, match='0 of its 8'):
        check_load_from(network(), path, True)


@pytest.mark.parametrize(
    ('model', 'part', 'prefix', 'cure'),
    [
        (distiller, network, '', r'in model\.student$'),
        (cohort, network, '', r'in every dict of model\.cohort\.peers$'),
        (network, lambda: network().backbone, '', r'in model\.backbone$'),
        (network, network, 'student.', r'tools/export_student\.py'),
        (network, network, 'cohort.peers.0.', r'prefix="cohort\.peers\.0\."'),
    ],
)
def test_cures(
    save: Any, model: Any, part: Any, prefix: str, cure: str
) -> None:
    with pytest.raises(ValueError, match=cure):
        check_load_from(model(), save(part(), prefix))


class Renamed(nn.Linear):
    """Converts the key names of an older version."""

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any):
        for name in ('weight', 'bias'):
            old = f'{prefix}old_{name}'
            if old in state:
                state[prefix + name] = state.pop(old)
        super()._load_from_state_dict(state, prefix, *args)


def test_conversions_of_the_network_count(save: Any) -> None:
    path = save(nn.Linear(2, 2))
    state = {f'old_{k}': v for k, v in nn.Linear(2, 2).state_dict().items()}
    torch.save(state, path)
    assert ': 2 of 2 tensors' in check_load_from(Renamed(2, 2), path)


def test_no_weights(tmp_path: Path) -> None:
    torch.save([1], tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='holds a list'):
        check_load_from(network(), str(tmp_path / 'x.pth'))
    torch.save({}, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='among the 0 of the file'):
        check_load_from(network(), str(tmp_path / 'x.pth'))
