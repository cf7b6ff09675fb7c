"""Whole published networks under the names of our configs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')
from mmkd.models.backbones.published_segmentors import (  # noqa: E402
    convert_segmentor,
)
from mmkd.networks import build_network  # noqa: E402
from tests.support.formula_weights import read_state_names  # noqa: E402

ROOT = Path(__file__).parents[3]
R18 = str(ROOT / 'configs/cirkd/baseline_deeplabv3_r18_cityscapes.py')
PSP = str(ROOT / 'configs/cirkd/baseline_pspnet_r18_cityscapes.py')
MBV2 = str(ROOT / 'configs/cirkd/baseline_deeplabv3_mbv2_cityscapes.py')


def published(head: str, backbone: str = 'resnet18_deep_stem') -> Any:
    """Random weights under the published names, of batch norms too."""
    parts = {'pretrained': backbone, 'head': head}
    if backbone.startswith('resnet'):
        parts['auxlayer'] = 'fcn_aux_head_256'
    return {
        f'{part}.{name}': torch.randn(shape)
        for part, case in parts.items()
        for name, shape in read_state_names(case)
    }


@pytest.mark.parametrize(
    ('config', 'head', 'classifier'),
    [
        (R18, 'aspp_head_512_128', 'block.4'),
        (PSP, 'psp_head_512_128', 'classifier'),
    ],
)
def test_every_tensor_finds_its_place(
    config: str, head: str, classifier: str
) -> None:
    state, network = published(head), build_network(config)
    renamed = convert_segmentor(state, network)
    missing, unexpected = network.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(name.endswith('num_batches_tracked') for name in missing)
    for ours, theirs in {
        'decode_head.conv_seg.weight': f'head.{classifier}.weight',
        'decode_head.bottleneck.conv.weight': 'head.block.0.weight',
        'auxiliary_head.conv_seg.bias': 'auxlayer.block.4.bias',
        'backbone.stem.6.weight': 'pretrained.conv3.weight',
    }.items():
        assert renamed[ours] is state[theirs], ours


def test_another_network_is_refused() -> None:
    state = published('aspp_head_512_128')
    with pytest.raises(ValueError, match='another network'):
        convert_segmentor(state, build_network(PSP))
    for part in ('head', 'auxlayer'):
        left = {k: v for k, v in state.items() if not k.startswith(part)}
        with pytest.raises(ValueError, match='have no part for'):
            convert_segmentor(left, build_network(R18))


def test_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    source, target = tmp_path / 'published.pth', tmp_path / 'ours.pth'
    torch.save(published('aspp_head_512_128'), source)
    tool = ROOT / 'tools/model_converters/cirkd_segmentor.py'
    monkeypatch.setattr(
        sys, 'argv', [str(tool), R18, str(source), str(target)]
    )
    runpy.run_path(str(tool), run_name='__main__')
    network = build_network(R18)
    state = torch.load(target, weights_only=True)['state_dict']
    assert f'{len(state)} tensors' in capsys.readouterr().out
    assert not network.load_state_dict(state, strict=False).unexpected_keys
