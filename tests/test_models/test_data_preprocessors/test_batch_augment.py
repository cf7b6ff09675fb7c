"""The augmenting data preprocessor against mmpretrain's pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

pytest.importorskip('mmpretrain')
from mmcv.transforms import Compose  # noqa: E402
from mmpretrain.models import ClsDataPreprocessor  # noqa: E402
from mmpretrain.registry import TRANSFORMS  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.models.data_preprocessors import batch_augment  # noqa: E402
from mmkd.models.data_preprocessors.crop_flip import crop_flip  # noqa: E402

BatchAugmentPreprocessor = batch_augment.BatchAugmentPreprocessor

MEAN, STD = [129.3, 124.1, 112.4], [68.2, 65.4, 70.4]
NORM = dict(mean=MEAN, std=STD)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def make_batch(count=6, size=32):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator
    )
    samples = [DataSample().set_gt_label(k) for k in range(count)]
    return dict(inputs=images, data_samples=samples)


def stock_view(image, draws):
    """Run mmpretrain's transforms on an HWC image with given draws."""
    top, left, flip = draws
    crop = TRANSFORMS.build(dict(type='RandomCrop', crop_size=32, padding=4))
    crop.rand_crop_params = lambda img: (top, left, 32, 32)
    turn = TRANSFORMS.build(dict(type='RandomFlip', prob=float(flip)))
    pack = TRANSFORMS.build(dict(type='PackInputs'))
    results = Compose([crop, turn, pack])(dict(img=image))
    return ClsDataPreprocessor(**NORM)(dict(inputs=[results['inputs']]))


@pytest.mark.parametrize(
    'draws', [(0, 0, True), (8, 8, False), (4, 4, False), (1, 7, True)]
)
def test_a_given_offset_reproduces_the_stock_crop(draws, monkeypatch):
    batch = make_batch(2)

    def given(images, padding, flip_prob, padding_mode):
        top, left, flip = (torch.tensor([value] * 2) for value in draws)
        return crop_flip(images, padding, top, left, flip, padding_mode)

    monkeypatch.setattr(batch_augment, 'random_crop_flip', given)
    ours = BatchAugmentPreprocessor(**NORM)(batch, training=True)['inputs']
    for image, result in zip(batch['inputs'], ours, strict=True):
        hwc = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        assert torch.equal(stock_view(hwc, draws)['inputs'][0], result)


def stock_outcomes(image, count):
    """What mmpretrain's pipeline makes of one image, as bytes."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                dict(type='RandomCrop', crop_size=4, padding=1),
                dict(type='RandomFlip', prob=0.5, direction='horizontal'),
                dict(type='PackInputs'),
            )
        ]
    )
    np.random.seed(0)
    results = [pipeline(dict(img=image.copy())) for _ in range(count)]
    return [result['inputs'].numpy().tobytes() for result in results]


def test_same_outcomes_equally_often_as_the_stock_pipeline():
    image = np.arange(1, 49, dtype=np.uint8).reshape(4, 4, 3)
    count = 3600
    stock = stock_outcomes(image, count)
    images = torch.from_numpy(image).permute(2, 0, 1).repeat(count, 1, 1, 1)
    ours = BatchAugmentPreprocessor(crop_padding=1)(
        dict(inputs=images), training=True
    )['inputs']
    ours = [view.to(torch.uint8).numpy().tobytes() for view in ours]
    assert set(ours) == set(stock)
    assert len(set(ours)) == 18  # 3 x 3 offsets, flipped or not
    for outcome in set(ours):
        assert ours.count(outcome) == pytest.approx(200, abs=65)
        assert stock.count(outcome) == pytest.approx(200, abs=65)


def test_validation_is_that_of_mmpretrain():
    options = dict(**NORM, to_rgb=True, num_classes=100)
    ours = BatchAugmentPreprocessor(**options, num_views=3)
    stock = ClsDataPreprocessor(**options)
    for form in (lambda x: x, list):
        batch = make_batch()
        batch['inputs'] = form(batch['inputs'])
        found, expected = ours(batch), stock(batch)
        assert torch.equal(found['inputs'], expected['inputs'])
        assert found['data_samples'] == expected['data_samples']
    assert ours.state_dict() == stock.state_dict() == {}


def test_views_are_drawn_independently():
    batch = make_batch(40)
    preprocessor = BatchAugmentPreprocessor(**NORM, num_views=3)
    torch.manual_seed(1)
    result = preprocessor(batch, training=True)
    views = result['inputs']
    assert len(views) == 3
    assert {view.shape for view in views} == {(40, 3, 32, 32)}
    same = [
        (views[a] == views[b]).flatten(1).all(1).double().mean()
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert max(same) < 0.2  # 1 of 162 on average
    labels = [int(sample.gt_label) for sample in result['data_samples']]
    assert labels == list(range(40))
    torch.manual_seed(1)
    again = preprocessor(batch, training=True)['inputs']
    assert all(map(torch.equal, views, again))


def test_without_augmentation_training_equals_validation():
    preprocessor = BatchAugmentPreprocessor(
        **NORM, crop_padding=0, flip_prob=0
    )
    batch = make_batch()
    inputs = preprocessor(batch, training=True)['inputs']
    assert torch.equal(inputs, preprocessor(batch)['inputs'])


@pytest.mark.parametrize('training', [True, False])
def test_channels_last(training):
    preprocessors = [
        BatchAugmentPreprocessor(**NORM, channels_last=last)
        for last in (False, True)
    ]
    results = []
    for preprocessor in preprocessors:
        torch.manual_seed(0)
        results.append(preprocessor(make_batch(), training)['inputs'])
    assert torch.equal(*results)
    layout = torch.channels_last
    assert [r.is_contiguous(memory_format=layout) for r in results] == [
        False,
        True,
    ]


def test_mixing_of_mmpretrain_still_works():
    preprocessor = BatchAugmentPreprocessor(
        **NORM,
        num_classes=6,
        batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
    )
    result = preprocessor(make_batch(), training=True)
    scores = torch.stack([s.gt_score for s in result['data_samples']])
    assert scores.shape == (6, 6)
    assert torch.allclose(scores.sum(1), torch.ones(6))
    assert (scores > 0).sum() > 6


def test_built_by_the_classifier():
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            data_preprocessor=dict(
                type='mmkd.BatchAugmentPreprocessor', **NORM
            ),
            backbone=dict(type='LeNet5', num_classes=10),
        )
    )
    assert type(model.data_preprocessor) is BatchAugmentPreprocessor
    result = model.data_preprocessor(make_batch(), training=True)
    assert result['inputs'].dtype == torch.float32


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(padding_mode='edge'), "padding_mode='edge', which must be '"),
        (dict(crop_padding=-1), 'crop_padding=-1, which must be at least 0'),
        (dict(flip_prob=1.5), 'flip_prob=1.5, which must be from 0 to 1'),
        (dict(num_views=0), 'num_views=0, which must be at least 1'),
        (
            dict(
                num_views=2,
                num_classes=3,
                batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
            ),
            'num_views=2 together with batch_augments',
        ),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        BatchAugmentPreprocessor(**options)


def test_images_of_two_sizes():
    images = [torch.zeros(3, 32, 32), torch.zeros(3, 32, 30)]
    with pytest.raises(ValueError, match='one size in the pipeline'):
        BatchAugmentPreprocessor()(dict(inputs=images), training=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu():
    preprocessor = BatchAugmentPreprocessor(**NORM, num_views=2).cuda()
    torch.manual_seed(0)
    batch = make_batch()
    result = preprocessor(batch, training=True)
    assert all(view.is_cuda for view in result['inputs'])
    assert result['data_samples'][3].gt_label.is_cuda
    torch.manual_seed(0)
    again = preprocessor(batch, training=True)
    assert all(map(torch.equal, result['inputs'], again['inputs']))
