"""Renaming published weights by their order."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')
from mmkd.models.backbones.dilated_mobilenet_v2 import (  # noqa: E402
    DilatedMobileNetV2,
)
from mmkd.models.backbones.published_weights import (  # noqa: E402
    convert_by_order,
)
from mmkd.models.backbones.resnet_v1s import ResNetV1s  # noqa: E402
from tests.support.formula_weights import read_state_names  # noqa: E402

TOOL = (
    Path(__file__).parents[3] / 'tools' / 'model_converters/cirkd_backbone.py'
)


def published(case):
    return {name: torch.randn(shape) for name, shape in read_state_names(case)}


def test_deep_stem_resnet():
    state = published('resnet18_deep_stem')
    state['fc.weight'] = torch.zeros(1000, 512)
    net = ResNetV1s(18)
    renamed = convert_by_order(state, net)
    assert renamed['stem.6.weight'] is state['conv3.weight']
    assert renamed['stem.7.running_var'] is state['bn3.running_var']
    for name, value in renamed.items():
        if name.startswith('layer'):
            assert value is state[name]
    missing, unexpected = net.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(name.endswith('num_batches_tracked') for name in missing)


def test_mobilenet_v2():
    state = published('mobilenetv2_dilated')
    state['net.features.18.0.weight'] = torch.zeros(1280, 320, 1, 1)
    renamed = convert_by_order(state, DilatedMobileNetV2())
    pairs = {
        'conv1.conv.weight': 'net.features.0.0.weight',
        'layer1.0.conv.1.bn.bias': 'net.features.1.conv.4.bias',
        'layer2.0.conv.1.conv.weight': 'net.features.2.conv.3.weight',
        'layer7.0.conv.2.bn.weight': 'net.features.17.conv.7.weight',
    }
    for ours, theirs in pairs.items():
        assert renamed[ours] is state[theirs]


def test_weights_of_another_network():
    state = published('resnet18_deep_stem')
    with pytest.raises(ValueError, match='check the depth'):
        convert_by_order(state, ResNetV1s(34))
    with pytest.raises(ValueError, match=r"'conv1.weight' is \(64, 3, 3, 3\)"):
        convert_by_order(state, ResNetV1s(18, stem_channels=64))


def test_tool_writes_what_init_cfg_reads(tmp_path, monkeypatch, capsys):
    state = published('resnet18_deep_stem')
    source, target = tmp_path / 'source.pth', tmp_path / 'a' / 'target.pth'
    torch.save(state, source)
    arguments = ['tool', 'resnet18', str(source), str(target)]
    monkeypatch.setattr(sys, 'argv', arguments)
    runpy.run_path(str(TOOL), run_name='__main__')
    assert f'{len(state)} tensors' in capsys.readouterr().out
    net = ResNetV1s(
        18, init_cfg=dict(type='Pretrained', checkpoint=str(target))
    )
    net.init_weights()
    assert torch.equal(net.stem[0].weight, state['conv1.weight'])
    last = 'layer4.1.bn2.running_mean'
    assert torch.equal(net.layer4[1].bn2.running_mean, state[last])
