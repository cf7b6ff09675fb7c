"""JigsawHeatmapHead: equal to mmpose's head, plus slots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('mmpose')
from mmpose.registry import MODELS as POSE_MODELS  # noqa: E402

from mmkd.registry import MODELS  # noqa: E402

CODEC = dict(
    type='JigsawHeatmap',
    input_size=(24, 32),
    heatmap_size=(6, 8),
    sigma=1,
    grid_size=(2, 2),
)


def head(**changes):
    config = dict(
        type='mmkd.JigsawHeatmapHead',
        in_channels=8,
        deconv_out_channels=None,
        decoder=dict(CODEC),
    )
    config.update(changes)
    return MODELS.build(config)


def test_layers_and_maps_are_those_of_the_stock_head():
    ours = head()
    stock = POSE_MODELS.build(
        dict(
            type='mmpose.HeatmapHead',
            in_channels=8,
            out_channels=4,
            deconv_out_channels=None,
        )
    )
    stock.load_state_dict(ours.state_dict())
    feats = (torch.randn(2, 8, 8, 6),)
    assert torch.equal(ours(feats), stock(feats))


def test_precision_of_the_maps():
    ours, feats = head(), torch.randn(2, 8, 8, 6)
    with torch.autocast('cpu', torch.bfloat16):
        assert ours((feats,)).dtype == torch.float32
    assert ours.double()((feats.double(),)).dtype == torch.float64


def test_predicts_slots():
    ours = head()
    feats = (torch.randn(3, 8, 8, 6),)
    maps = ours(feats)
    predictions = ours.predict(feats, None)
    expected = ours.decoder.decode_slots(maps)
    assert len(predictions) == 3
    for prediction, slots in zip(predictions, expected, strict=True):
        assert prediction.patch_slots.tolist() == [slots.tolist()]
        assert prediction.patch_slots.dtype == np.int64
        assert prediction.keypoints.shape == (1, 4, 2)
    predictions, fields = ours.predict(feats, None, dict(output_heatmaps=True))
    assert torch.equal(fields[2].heatmaps, maps[2])
    assert predictions[2].patch_slots.tolist() == [expected[2].tolist()]


def test_channels_come_from_the_grid():
    codec = {key: CODEC[key] for key in CODEC if key != 'grid_size'}
    codec.update(input_size=(192, 256), heatmap_size=(48, 64))
    assert head(decoder=codec).final_layer.out_channels == 12
    with pytest.raises(ValueError, match='set out_channels=4 or leave it out'):
        head(out_channels=17)


def test_no_flip_test():
    with pytest.raises(ValueError, match='no flip pairs'):
        head().predict((torch.zeros(1, 8, 8, 6),), None, dict(flip_test=True))


def test_a_decoder_of_joints_is_refused():
    with pytest.raises(TypeError, match='knows no patches'):
        head(decoder=dict(CODEC, type='MSRAHeatmap'))
