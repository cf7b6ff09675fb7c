from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from mmkd.checkpoints.plain_load import equal_in_plain_mmseg
from mmkd.toys import toy_segmentor

pytest.importorskip('mmseg')


@pytest.mark.slow
@pytest.mark.parametrize('change', ['none', 'shifted', 'incomplete'])
def test_equal_other_and_incomplete_weights(
    tmp_path: Path, change: str
) -> None:
    config, weights = tmp_path / 'network.py', tmp_path / 'network.pth'
    Config(dict(model=toy_segmentor())).dump(config)
    network = MODELS.build(toy_segmentor()).eval()
    state = network.state_dict()
    if change == 'shifted':
        state = {key: value + 0.1 for key, value in state.items()}
    if change == 'incomplete':
        state.pop('decode_head.conv_seg.bias')
    torch.save(dict(state_dict=state), weights)
    if change == 'incomplete':
        with pytest.raises(RuntimeError, match=r'decode_head\.conv_seg\.bias'):
            equal_in_plain_mmseg(network, config, weights)
    else:
        same = equal_in_plain_mmseg(network, config, weights)
        assert same is (change == 'none')
