"""Files that parts of a network start from."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

from mmkd.checkpoints.pretrained import check_pretrained


class Network(BaseModule):
    """Two layers; a part of it may start from a file."""

    def __init__(self, width=4, init_cfg=None, convert_weights=False):
        super().__init__(init_cfg)
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, 2)
        self.convert_weights = convert_weights


def starting_from(file, width=4, convert_weights=False, **config):
    init_cfg = dict(type='Pretrained', checkpoint=str(file), **config)
    backbone = Network(width, init_cfg, convert_weights)
    return nn.ModuleDict(dict(backbone=backbone))


@pytest.fixture
def saved(tmp_path):
    """File with the weights of ``Network``, as given keys."""

    def run(prefix='', drop=()):
        state = {
            prefix + key: value
            for key, value in Network().state_dict().items()
            if key not in drop
        }
        torch.save(dict(state_dict=state), tmp_path / 'saved.pth')
        return tmp_path / 'saved.pth'

    return run


def check_accepted(network, file, key='first.weight'):
    """mmengine then starts from what was looked at."""
    check_pretrained(network)
    network.backbone.init_weights()
    expected = torch.load(file)['state_dict'][key]
    assert torch.equal(network.backbone.first.weight, expected)


def test_files_that_fit(saved):
    file = saved()
    check_accepted(starting_from(file), file)
    file = saved('module.')
    check_accepted(starting_from(file), file, 'module.first.weight')
    file = saved('backbone.')
    for prefix in ('backbone', 'backbone.'):
        network = starting_from(file, prefix=prefix)
        check_accepted(network, file, 'backbone.first.weight')
    # another last layer, as of a network for other classes
    file = saved(drop=('last.weight',))
    check_accepted(starting_from(file), file)


def test_not_looked_at(saved):
    file = saved('other.')  # would be refused
    with pytest.raises(ValueError, match='other'):
        check_pretrained(starting_from(file))
    for network in (
        nn.Linear(2, 2),
        starting_from('torchvision://resnet18'),
        starting_from(file, convert_weights=True),
    ):
        assert check_pretrained(network) is None


@pytest.mark.parametrize(
    ('prefix', 'changes'),
    [
        ('backbone.', {}),
        ('', dict(prefix='backbone.')),
        ('backbone.', dict(prefix='backbone.', width=8)),
    ],
)
def test_files_of_another_network(saved, prefix, changes):
    file = saved(prefix)
    words = r'model\.backbone\.init_cfg: only [01] of 4 tensors of Network'
    with pytest.raises(ValueError, match=words):
        check_pretrained(starting_from(file, **changes))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'backbone\.init_cfg\.checkpoint=.* not exist'
    ):
        check_pretrained(starting_from(tmp_path / 'no.pth'))
    (tmp_path / 'cut.pth').write_bytes(b'PK')
    with pytest.raises(ValueError, match='cut'):
        check_pretrained(starting_from(tmp_path / 'cut.pth'))
