"""Promised zero filters, in the networks of distillers."""

from __future__ import annotations

from mmengine.config import Config

from mmkd.pruning.promises import missing_zeros

HOOK = dict(type='SoftFilterPruningHook', pruning_rate=0.5, priority='LOW')
SHAPE = (3, 32, 32)


def missing(network, model, peer=None, **hook):
    config = Config(dict(model=model, custom_hooks=[dict(HOOK, **hook)]))
    return missing_zeros(network, config, peer, SHAPE)


def test_paths_are_those_of_the_run(masked) -> None:
    network = masked('cifar_conv', rate=0.25)
    student = dict(type='mmkd.OfflineDistiller', student={})
    found = missing(network, student, include=[r'^student\.backbone\.conv1'])
    assert found == {'backbone.conv1': (4, 8)}
    cohort = dict(type='mmkd.OnlineDistiller', cohort=dict(peers=[{}, {}]))
    second = dict(
        include=[r'^cohort\.peers\.1\.backbone\.conv1'],
        layer_rates={r'peers\.1\.': 0.75},
    )
    assert missing(network, cohort, 1, **second) == {'backbone.conv1': (4, 12)}
    assert missing(network, cohort, -1, **second)
    assert missing(network, cohort, 0, **second) == {}


def test_kept_promises(masked) -> None:
    network = masked('cifar_conv', rate=0.5)
    assert missing(network, {}) == {}
    assert missing(network, {}, granularity='weight') == {}
    assert missing_zeros(network, Config(dict(model={}))) == {}


def test_coupled_layers_promise_zeros_in_shortcuts(masked) -> None:
    network = masked('cifar_conv', rate=0.5)  # shortcuts are not masked
    assert set(missing(network, {}, coupled=True)) == {
        'backbone.layer2.0.downsample.0',
        'backbone.layer3.0.downsample.0',
    }
    taught = dict(type='mmkd.OfflineDistiller', student={})
    student = missing(network, taught, coupled=True)
    assert student == missing(network, {}, coupled=True)
