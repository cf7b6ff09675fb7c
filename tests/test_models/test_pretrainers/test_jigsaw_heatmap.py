"""JigsawHeatmap: golden targets, slots, messages."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch

pytest.importorskip('mmpose')
from mmpose.codecs import MSRAHeatmap  # noqa: E402
from mmpose.registry import KEYPOINT_CODECS  # noqa: E402

from mmkd.datasets import JigsawShuffle  # noqa: E402
from mmkd.models.pretrainers.jigsaw_heatmap import JigsawHeatmap  # noqa: E402
from mmkd.registry import TASK_UTILS  # noqa: E402
from tests.references import hsjp  # noqa: E402

STANDARD = dict(input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
LARGE = dict(input_size=(288, 384), heatmap_size=(72, 96), sigma=3)


def targets(codec, order, label_mode='patch_location'):
    """What the pipeline makes of a permutation."""
    shuffle = JigsawShuffle(codec.grid, label_mode, permutation=order)
    width, height = codec.input_size
    results = shuffle(dict(img=np.zeros((height, width), np.uint8)))
    return codec.encode(
        results['transformed_keypoints'], results['keypoints_visible']
    )


def test_hand_case(golden):
    case = golden('hsjp', 'hand_2x2')
    codec = JigsawHeatmap((8, 8), (8, 8), 1, grid_size=(2, 2))
    order = case['permutation']
    maps = targets(codec, order)['heatmaps']
    assert np.abs(maps - case['heatmaps_sigma1']).max() < 1e-6
    origin = targets(codec, order, 'patch_origin')['heatmaps']
    assert np.abs(origin - case['heatmaps_patch_origin_mode']).max() < 1e-6
    assert np.array_equal(codec.decode_slots(maps), case['inverse'])
    assert np.array_equal(codec.decode_slots(origin), order)


def test_golden_grid(golden):
    case = golden('hsjp', 'grid_256x192_4x3')
    codec = JigsawHeatmap(**STANDARD)
    cases = zip(
        case['permutations'],
        case['peaks_xy'],
        case['zero_prediction_mse'],
        strict=True,
    )
    for order, peaks, zero_loss in cases:
        encoded = targets(codec, order)
        maps = encoded['heatmaps']
        assert np.array_equal(encoded['keypoint_weights'], np.ones((1, 12)))
        for k, (x, y) in enumerate(peaks):
            assert maps[k, y, x] == 1
            assert (maps[k] == 1).sum() == 1
        assert np.mean(maps.astype(np.float64) ** 2) == pytest.approx(
            zero_loss, abs=1e-7
        )
        assert np.array_equal(codec.decode_slots(maps), np.argsort(order))
    last = case['one_heatmap_channel0_last_perm']
    assert np.abs(maps[0] - last).max() < 1e-6


@pytest.mark.parametrize(
    ('sizes', 'expected'), [(STANDARD, 0.0040905928), (LARGE, 0.0040905646)]
)
def test_loss_of_predicting_nothing(sizes, expected):
    codec = JigsawHeatmap(**sizes)
    closed_form = hsjp.zero_prediction_loss(sizes['sigma'], codec.heatmap_size)
    assert closed_form == pytest.approx(expected, abs=1e-10)
    maps = targets(codec, np.random.default_rng(0).permutation(12))
    loss = stock_loss(maps['heatmaps'], maps['keypoint_weights'])
    assert loss == pytest.approx(expected, abs=1e-7)


def stock_loss(maps, weights):
    """Loss of an all-zero prediction by mmpose's own loss."""
    from mmpose.models.losses import KeypointMSELoss

    target = torch.as_tensor(maps)[None]
    loss = KeypointMSELoss(use_target_weight=True)
    return loss(
        torch.zeros_like(target), target, torch.as_tensor(weights)
    ).item()


def test_small_patches_cut_the_gaussians():
    codec = JigsawHeatmap(**STANDARD, grid_size=(8, 6))
    maps = targets(codec, np.arange(48))['heatmaps']
    loss = np.mean(maps.astype(np.float64) ** 2)
    assert loss == pytest.approx(0.004083, abs=1e-6)


def test_targets_equal_the_loop():
    codec = JigsawHeatmap((24, 16), (12, 8), 1, grid_size=(2, 3))
    order = np.array([4, 1, 5, 0, 3, 2])
    points = hsjp.centres(order, (2, 3), (24, 16), 'patch_location')
    expected = [hsjp.heatmap(x, y, (12, 8), 2, 1) for x, y in points]
    maps = targets(codec, order)['heatmaps']
    assert np.abs(maps - expected).max() < 1e-6


@pytest.mark.parametrize('changes', [{}, dict(sigma=1.5), dict(unbiased=True)])
def test_targets_equal_those_of_mmpose(changes):
    """At any place of the crop, with windows cut at every side."""
    arguments = {**STANDARD, **changes}
    rng = np.random.default_rng(0)
    points = rng.uniform(0, (192, 256), (1, 12, 2)).astype(np.float32)
    points[0, :4] = [(0, 0), (191.9, 0), (0, 255.9), (191.9, 255.9)]
    visible = (rng.uniform(size=(1, 12)) > 0.3).astype(np.float32)
    ours = JigsawHeatmap(**arguments).encode(points, visible)
    stock = MSRAHeatmap(**arguments).encode(points, visible)
    assert 0 < visible.sum() < 12
    assert np.array_equal(ours['heatmaps'], stock['heatmaps'])
    weights = 'keypoint_weights'
    assert np.array_equal(ours[weights], stock[weights])
    assert ours['heatmaps'].dtype == np.float32


def test_every_puzzle_is_decoded_even_with_noise():
    codec = JigsawHeatmap((24, 16), (12, 8), 1, grid_size=(2, 3))
    generator = np.random.default_rng(0)
    for order in itertools.permutations(range(6)):
        maps = targets(codec, order)['heatmaps']
        maps = maps + generator.normal(0, 0.05, maps.shape)
        expected = np.argsort(order)
        assert np.array_equal(codec.decode_slots(maps), expected)


def random_maps(count=5):
    maps = np.random.default_rng(1).normal(size=(count, 4, 8, 8))
    return maps.astype(np.float32)


def test_slots_equal_the_loop_and_keep_the_kind():
    codec = JigsawHeatmap((32, 32), (8, 8), 1, grid_size=(2, 2))
    maps = random_maps()
    expected = [hsjp.slots(one, (2, 2)) for one in maps]
    slots = codec.decode_slots(maps)
    assert isinstance(slots, np.ndarray)
    assert np.array_equal(slots, expected)
    assert np.array_equal(codec.decode_slots(maps[0]), expected[0])
    tensor = codec.decode_slots(torch.as_tensor(maps))
    assert tensor.dtype == torch.int64
    assert tensor.tolist() == expected
    half = codec.decode_slots(torch.as_tensor(maps).bfloat16())
    assert half.shape == (5, 4)


def test_ties_go_to_the_first_pixel():
    maps = np.zeros((4, 8, 8), np.int8)
    maps[1, 0, 5] = maps[1, 1, 1] = 48  # row 0 of slot 1, row 1 of slot 0
    codec = JigsawHeatmap((32, 32), (8, 8), 1, grid_size=(2, 2))
    assert codec.decode_slots(maps).tolist() == hsjp.slots(maps, (2, 2))
    assert codec.decode_slots(maps).tolist() == [0, 1, 0, 0]


def test_hungarian_is_the_best_permutation():
    codec = JigsawHeatmap(
        (32, 32), (8, 8), 1, grid_size=(2, 2), assignment='hungarian'
    )
    maps = random_maps()
    found = codec.decode_slots(maps)
    expected = [hsjp.best_assignment(one, (2, 2)) for one in maps]
    assert found.tolist() == expected
    assert (np.sort(found, axis=1) == np.arange(4)).all()
    argmax = JigsawHeatmap((32, 32), (8, 8), 1, grid_size=(2, 2))
    assert not np.array_equal(argmax.decode_slots(maps), found)


def test_mmpose_and_mmkd_find_it():
    cfg = dict(type='JigsawHeatmap', **STANDARD, grid_size=(4, 4))
    assert type(KEYPOINT_CODECS.build(dict(cfg))) is JigsawHeatmap
    assert TASK_UTILS.get('JigsawHeatmap') is JigsawHeatmap


def test_the_shuffle_makes_it_known(monkeypatch):
    """The targets of a pipeline need no further import."""
    name = 'JigsawHeatmap'
    for registry in (KEYPOINT_CODECS, TASK_UTILS):
        monkeypatch.delitem(registry._module_dict, name)
    monkeypatch.delitem(sys.modules, JigsawHeatmap.__module__)
    assert name not in KEYPOINT_CODECS._module_dict
    JigsawShuffle()
    assert name in KEYPOINT_CODECS._module_dict


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(grid_size=(3, 3)), r'input size \(192, 256\) is not divisible'),
        (dict(grid_size=(32, 48)), r'heat-map size .* is not divisible'),
        (dict(heatmap_size=(2, 64)), 'heat-map size .* is smaller than'),
        (dict(grid_size=(1, 1)), 'makes no puzzle'),
        (dict(assignment='greedy'), "assignment='greedy' is unknown"),
    ],
)
def test_bad_arguments(changes, words):
    arguments = {**STANDARD, **changes}
    if changes.get('grid_size') == (32, 48):
        arguments['heatmap_size'] = (48, 60)
    with pytest.raises(ValueError, match=words):
        JigsawHeatmap(**arguments)


def test_joints_instead_of_patches():
    codec = JigsawHeatmap(**STANDARD)
    with pytest.raises(ValueError, match='put mmkd.JigsawShuffle'):
        codec.encode(np.zeros((1, 17, 2)), np.ones((1, 17)))


@pytest.mark.parametrize('value', [-1.0, 192.0, np.nan])
def test_points_outside(value):
    points = np.full((1, 12, 2), 10.0)
    points[0, 7, 0] = value
    with pytest.raises(ValueError, match='patch 7 at .* lies outside'):
        JigsawHeatmap(**STANDARD).encode(points, np.ones((1, 12)))


@pytest.mark.parametrize('shape', [(17, 64, 48), (12, 48, 64), (64, 48)])
def test_other_maps(shape):
    with pytest.raises(ValueError, match='out_channels=12'):
        JigsawHeatmap(**STANDARD).decode_slots(np.zeros(shape))
