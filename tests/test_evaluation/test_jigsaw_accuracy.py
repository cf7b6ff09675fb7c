"""JigsawAccuracy: shares, forms of samples, messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement, InstanceData

from mmkd.evaluation import JigsawAccuracy


def sample(slots, permutation):
    element = BaseDataElement(
        metainfo=dict(jigsaw_permutation=np.array(permutation)),
        pred_instances=InstanceData(patch_slots=np.array([slots])),
    )
    return element.to_dict()


def scores(samples, **kwargs):
    metric = METRICS.build(dict(type='mmkd.JigsawAccuracy', **kwargs))
    for one in samples:  # batches of one
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def test_shares():
    order = [2, 0, 3, 1]  # patches 0 to 3 are in slots 1, 3, 0, 2
    result = scores([sample([1, 3, 0, 2], order), sample([1, 3, 2, 2], order)])
    assert result == {
        'jigsaw/patch_accuracy': 7 / 8,
        'jigsaw/perfect_rate': 0.5,
    }


def test_origin_mode_compares_with_the_permutation():
    order = [2, 0, 3, 1]
    assert scores([sample(order, order)], label_mode='patch_origin') == {
        'jigsaw/patch_accuracy': 1.0,
        'jigsaw/perfect_rate': 1.0,
    }
    assert scores([sample(order, order)])['jigsaw/patch_accuracy'] == 0


def test_tensors_and_objects():
    one = dict(
        jigsaw_permutation=torch.tensor([1, 0]),
        pred_instances=InstanceData(patch_slots=torch.tensor([[1, 0]])),
    )
    assert scores([one])['jigsaw/perfect_rate'] == 1


def test_last_padded_samples_do_not_count():
    metric = JigsawAccuracy()
    metric.process(None, [sample([1, 0], [1, 0]), sample([0, 0], [1, 0])])
    assert metric.evaluate(1)['jigsaw/patch_accuracy'] == 1


def test_messages():
    complete = sample([1, 0], [1, 0])
    metric = JigsawAccuracy()
    with pytest.raises(KeyError, match='PackPoseInputs'):
        metric.process(None, [{**complete, 'jigsaw_permutation': None}])
    with pytest.raises(KeyError, match='JigsawHeatmapHead'):
        metric.process(None, [{**complete, 'pred_instances': {}}])
    with pytest.raises(ValueError, match='same grid_size'):
        metric.process(None, [sample([1, 0], [1, 0, 2])])
    with pytest.raises(ValueError, match='label_mode'):
        JigsawAccuracy(label_mode='origin')
