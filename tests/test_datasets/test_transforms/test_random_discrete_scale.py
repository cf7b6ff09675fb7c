"""RandomDiscreteScale, and the exact padding it makes possible."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd.datasets import RandomDiscreteScale

CONFIG = (
    Path(__file__).parents[3] / 'configs/_base_/datasets/camvid_360x360.py'
)
MEAN = (104.00698793, 116.66876762, 122.67891434)


def sample(height=20, width=30):
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        gt_seg_map=rng.integers(0, 11, (height, width), dtype=np.uint8),
        seg_fields=['gt_seg_map'],
    )


def test_the_sixteen_factors_are_drawn_equally_often():
    np.random.seed(0)
    transform = RandomDiscreteScale()
    drawn = [transform.transform(sample(10, 10)) for _ in range(1600)]
    factors, counts = np.unique(
        [result['scale_factor'][0] for result in drawn], return_counts=True
    )
    assert np.allclose(factors, np.arange(5, 21) / 10)
    assert counts.min() > 60
    assert counts.max() < 150


@pytest.mark.parametrize('factor', [0.5, 0.7, 1.0, 1.9])
def test_equals_opencv_linear_and_nearest(factor):
    before, after = sample(), sample()
    RandomDiscreteScale(factors=[factor]).transform(after)
    size = (round(30 * factor), round(20 * factor))
    scaling = dict(dsize=None, fx=factor, fy=factor)
    expected = cv2.resize(
        before['img'], interpolation=cv2.INTER_LINEAR, **scaling
    )
    assert np.array_equal(after['img'], expected)
    rows = np.minimum((np.arange(size[1]) / factor).astype(int), 19)
    columns = np.minimum((np.arange(size[0]) / factor).astype(int), 29)
    nearest = before['gt_seg_map'][rows[:, None], columns]
    assert np.array_equal(after['gt_seg_map'], nearest)
    assert after['img_shape'] == size[::-1]
    assert after['scale'] == size


def test_float_conversion_comes_after_the_resizing():
    integers, floats = sample(), sample()
    RandomDiscreteScale([0.7]).transform(integers)
    RandomDiscreteScale([0.7], to_float32=True).transform(floats)
    assert integers['img'].dtype == np.uint8
    assert floats['img'].dtype == np.float32
    assert np.array_equal(floats['img'], integers['img'])


@pytest.mark.parametrize('factors', [[], [0.0], [1.0, -1.0]])
def test_bad_factors(factors):
    with pytest.raises(ValueError, match='positive numbers'):
        RandomDiscreteScale(factors)


@pytest.mark.parametrize('factor', [0.5, 1.0])
def test_padding_is_exactly_zero_after_mean_subtraction(factor):
    """The pipeline of the configs against the published order by hand:
    scale, subtract the mean, pad with 0 (label 255), crop, mirror."""
    pytest.importorskip('mmseg')
    from mmseg.models import SegDataPreProcessor
    from mmseg.registry import TRANSFORMS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    config = Config.fromfile(CONFIG)
    pipeline = config.train_pipeline[2:]
    pipeline[0].factors = [factor]
    pipeline[3].prob = 1.0
    results = sample(100, 400)
    for cfg in pipeline:
        cfg.setdefault('_scope_', 'mmseg')
        np.random.seed(3)
        results = TRANSFORMS.build(cfg)(results)
    arguments = dict(config.data_preprocessor)
    for key in ('type', '_scope_'):
        arguments.pop(key)
    batch = SegDataPreProcessor(**arguments)(
        dict(
            inputs=[results['inputs']], data_samples=[results['data_samples']]
        ),
        training=True,
    )

    raw = sample(100, 400)
    image = cv2.resize(raw['img'], None, fx=factor, fy=factor)
    height, width = image.shape[:2]
    image = image.astype(np.float32) - np.array(MEAN, dtype=np.float32)
    columns = max(width, 360)
    canvas = np.zeros((360, columns, 3), dtype=np.float32)
    canvas[:height, :width] = image
    np.random.seed(3)
    np.random.randint(0, 1)  # no choice of rows
    left = np.random.randint(0, columns - 360 + 1)
    canvas = canvas[:, left : left + 360][:, ::-1]
    expected = torch.from_numpy(canvas.transpose(2, 0, 1).copy())
    assert batch['inputs'].shape == (1, 3, 360, 360)
    assert torch.equal(batch['inputs'][0], expected)
    label = batch['data_samples'][0].gt_sem_seg.data[0]
    padding = (expected == 0).all(0)
    assert padding.any()
    assert (label[padding] == 255).all()
    assert (label != 255).sum() == height * min(width, 360)
