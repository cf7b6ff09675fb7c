"""Several views of each image against the stock preprocessor."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope

pytest.importorskip('mmpretrain')
from mmengine.dataset import default_collate  # noqa: E402
from mmpretrain.models import ClsDataPreprocessor  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

NORM = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 55.0, 50.0], to_rgb=True)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def build(**changes):
    return MODELS.build(
        dict(type='mmkd.MultiViewPreprocessor', **NORM, **changes)
    )


def make_batch(count=3):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator
    )
    samples = [DataSample().set_gt_label(k) for k in range(count)]
    return images, samples


def test_views_are_normalised_like_single_batches():
    images, samples = make_batch()
    views = [images, images.flip(3)]
    result = build()(dict(inputs=views, data_samples=samples), training=True)
    stock = ClsDataPreprocessor(**NORM)
    assert len(result['inputs']) == 2
    for got, view in zip(result['inputs'], views, strict=True):
        assert torch.equal(got, stock(dict(inputs=view))['inputs'])
    assert [s.gt_label.item() for s in result['data_samples']] == [0, 1, 2]


@pytest.mark.parametrize('as_list', [False, True])
def test_one_view_is_stock(as_list):
    images, samples = make_batch()
    inputs = list(images) if as_list else images
    result = build()(dict(inputs=inputs, data_samples=samples))
    stock = ClsDataPreprocessor(**NORM)(dict(inputs=inputs))
    assert torch.equal(result['inputs'], stock['inputs'])


def test_stock_transform_and_collate_give_what_it_takes():
    image = make_batch(1)[0][0].permute(1, 2, 0).numpy()
    turn = dict(type='RandomFlip', prob=1.0)
    steps = [
        TRANSFORMS.build(
            dict(type='MultiView', num_views=[1, 1], transforms=[[], [turn]])
        ),
        TRANSFORMS.build(dict(type='PackInputs')),
    ]
    results = dict(img=image, gt_label=1, img_shape=image.shape[:2])
    for step in steps:
        results = step(results)
    batch = default_collate([results, results])
    first, second = build()(batch, training=True)['inputs']
    assert first.shape == (2, 3, 8, 8)
    assert torch.equal(first.flip(3), second)


def test_mixing_is_refused():
    images, samples = make_batch()
    module = build(
        num_classes=3,
        batch_augments=dict(augments=dict(type='Mixup', alpha=0.8)),
    )
    data = dict(inputs=[images, images], data_samples=samples)
    with pytest.raises(ValueError, match='2 views together with'):
        module(data, training=True)
