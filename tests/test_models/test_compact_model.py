"""The compact network as a ``model`` of a config."""

from __future__ import annotations

import json

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd.networks import build_network
from mmkd.pruning import compact
from mmkd.toys import toy_classifier
from tests.support.masked_networks import mask_at_random

pytest.importorskip('mmpretrain')


def build(**options):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ROOT_MODELS.build(dict(type='mmkd.CompactModel', **options))


def test_same_network_from_plan_and_weights(tmp_path) -> None:
    architecture = toy_classifier(4)
    architecture['backbone']['init_cfg'] = dict(
        type='Pretrained', checkpoint='no_such_file.pth'
    )
    masked = mask_at_random(build_network(architecture), 0.5)
    small, plan, _ = compact(masked, (3, 32, 32))
    path = tmp_path / 'plan.json'
    path.write_text(json.dumps(plan))
    weights = tmp_path / 'compact.pth'
    torch.save(dict(state_dict=small.state_dict()), weights)
    init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    distiller = dict(type='mmkd.OfflineDistiller', student=architecture)
    for options in (
        dict(architecture=architecture, plan=str(path)),
        dict(architecture=distiller, plan=plan),
    ):
        found = build(init_cfg=init_cfg, **options)
        assert type(found) is type(masked)
        found.init_weights()
        state = found.state_dict()
        assert list(state) == list(small.state_dict())
        for name, value in small.state_dict().items():
            assert torch.equal(state[name], value)


def test_data_preprocessor_of_the_config() -> None:
    architecture = toy_classifier(4)
    preprocessor = architecture.pop('data_preprocessor')
    plan = dict(modules={}, scatter={})
    found = build(
        architecture=architecture, plan=plan, data_preprocessor=preprocessor
    )
    assert float(found.data_preprocessor.mean.flatten()[0]) == 127.5


def test_mistakes() -> None:
    with pytest.raises(FileNotFoundError, match='tools/prune_export.py wrote'):
        build(architecture=toy_classifier(4), plan='no_plan.json')
    plan = dict(modules={'backbone.conv9': {}}, scatter={})
    with pytest.raises(ValueError, match='cuts "backbone.conv9", which this'):
        build(architecture=toy_classifier(4), plan=plan)
