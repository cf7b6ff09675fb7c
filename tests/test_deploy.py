"""Which network a run trained, for cohorts of any form and every tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd.checkpoints.export import export_deployed
from mmkd.cli.tap_places import networks
from mmkd.deploy import (
    Deployment,
    key_prefix,
    load_deployed,
    resolve_peer,
)
from mmkd.models.cohorts import Cohort
from mmkd.networks import networks_of
from mmkd.registry import MODELS
from mmkd.toys import toy_network
from tests.support.toy_cohort import cohort_config


@MODELS.register_module(force=True)
class TwinCohort(Cohort):
    """Two peers from one config, as a compressed cohort has."""

    def __init__(self, peer: Any, **options: Any) -> None:
        super().__init__(peers=[peer, peer], **options)

    @classmethod
    def peer_configs(cls, config: Mapping[str, Any]) -> list[Any]:
        return [config['peer'], config['peer']]

    @classmethod
    def map_peers(
        cls, config: Mapping[str, Any], change: Callable[[Any], Any]
    ) -> dict[str, Any]:
        return dict(config, peer=change(config['peer']))


def twins(**changes: Any) -> Config:
    model = cohort_config(**changes)
    model['cohort'] = dict(
        type='mmkd.TwinCohort', peer=toy_network('classification', 4)
    )
    return Config(dict(model=model, default_scope='mmpretrain'))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Config, Path, Any]]:
    def make(**changes: Any) -> tuple[Config, Path, Any]:
        config = twins(**changes)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = ROOT_MODELS.build(config.model)
        path = tmp_path / 'run.pth'
        torch.save(dict(state_dict=model.state_dict(), meta={}), path)
        return config, path, model

    return make


def test_networks_of_any_cohort() -> None:
    config = twins()
    assert list(networks_of(config.model)) == ['peer0', 'peer1']
    assert list(networks(config)) == ['peer0', 'peer1']
    plain = Config(dict(model=toy_network('classification', 4)))
    assert networks_of(plain.model) == {}
    assert key_prefix(config, 1) == 'cohort.peers.1.'
    assert key_prefix(plain) == ''


def test_every_peer_is_exported(run: Any) -> None:
    config, path, model = run(deploy='all')
    reports = export_deployed(
        config, path, path.with_name('out.pth'), input_shape=(3, 32, 32)
    )
    names = [report.path.name for report in reports]
    assert names == ['out_peer0.pth', 'out_peer1.pth']
    for peer, report in zip(model.cohort.peers, reports, strict=True):
        state = torch.load(report.path)['state_dict']
        for key, value in peer.state_dict().items():
            assert torch.equal(state[key], value), key


def test_one_peer_is_loaded(run: Any) -> None:
    config, path, model = run(deploy=1)
    found = load_deployed(config, path)
    assert found.peer == 1
    last = load_deployed(config, path, peer=-2)
    assert last.peer == 0
    for peer, network in ((1, found.network), (0, last.network)):
        for key, value in model.cohort[peer].state_dict().items():
            assert torch.equal(network.state_dict()[key], value), key


def test_an_auxiliary_classifier_is_no_network() -> None:
    config, state = twins(), dict(deployed_peer=torch.tensor(-1))
    state['cohort.peers.0.x'] = torch.zeros(1)
    with pytest.raises(ValueError, match='say which peer you want'):
        resolve_peer(config, state, 'run.pth')


@pytest.mark.parametrize(
    ('given', 'peer', 'weights'),
    [
        (None, 0, 'own'),
        (-1, -1, 'own'),
        ('best', 'best', 'own'),
        (dict(weights='mean'), 0, 'mean'),
        (dict(peer='all', weights='mean'), 'all', 'mean'),
    ],
)
def test_forms_of_deploy(given: Any, peer: Any, weights: str) -> None:
    assert Deployment.parse(given) == Deployment(peer, weights)
