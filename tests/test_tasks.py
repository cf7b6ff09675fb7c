"""Given outputs are judged as if a network had computed them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.networks import build_network
from mmkd.tasks import (
    loss_of_output,
    main_head,
    outputs_kept,
    predictions_of_outputs,
)
from mmkd.toys import toy_network
from tests.support.toy_cohort import batch_for
from tests.support.toy_runner import SCOPES

PREDICTION = dict(
    classification=lambda sample: sample.pred_score,
    segmentation=lambda sample: sample.seg_logits.data,
    pose=lambda sample: torch.as_tensor(sample.pred_instances.keypoints),
)


def network(task: str, **test_cfg: Any) -> nn.Module:
    config = toy_network(task, 4)
    if test_cfg:
        config.test_cfg = test_cfg
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        return build_network(config).eval()


def inputs(task: str, model: nn.Module, training: bool) -> dict[str, Any]:
    size = (64, 64) if task == 'pose' else (32, 32)
    return batch_for(model, task, training=training, size=size)


@pytest.mark.parametrize('task', PREDICTION)
def test_loss_of_the_own_output_is_the_own_loss(task: str) -> None:
    model = network(task)
    batch = inputs(task, model, True)
    with outputs_kept(main_head(model)) as kept:
        losses = model(**batch, mode='loss')
    value = loss_of_output(model, kept[0], batch['data_samples'])
    own = sum(v for k, v in losses.items() if 'loss' in k)
    assert torch.equal(value, own)
    other = loss_of_output(model, kept[0] * 2 + 1, batch['data_samples'])
    assert not torch.equal(other, own)
    assert 'forward' not in vars(main_head(model))


CASES: dict[str, dict[str, Any]] = dict(
    classification={},
    segmentation=dict(mode='whole'),
    segmentation_windows=dict(mode='slide', crop_size=(16, 16), stride=(8, 8)),
    pose=dict(flip_test=False),
    pose_flipped=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True),
)


@pytest.mark.parametrize('case', CASES)
def test_own_outputs_give_the_own_predictions(case: str) -> None:
    task = case.partition('_')[0]
    model = network(task, **CASES[case])
    images, samples = inputs(task, model, False).values()

    def fresh() -> list[Any]:
        return [sample.new() for sample in samples]

    with torch.no_grad(), outputs_kept(main_head(model)) as kept:
        expected = model(images, fresh(), mode='predict')
    calls = dict(segmentation_windows=9, pose_flipped=2).get(case, 1)
    assert len(kept) == calls
    with torch.no_grad():
        found = predictions_of_outputs(model, images, fresh(), kept)
        changed = predictions_of_outputs(
            model, images, fresh(), [-(value**2) for value in kept]
        )
    read = PREDICTION[task]
    for one, two in zip(expected, found, strict=True):
        assert torch.equal(read(one), read(two))
    assert not torch.equal(read(expected[0]), read(changed[0]))
    assert 'extract_feat' not in vars(model)


def test_detectors_have_no_main_head() -> None:
    model = network('detection')
    assert main_head(model) is None
    with pytest.raises(TypeError, match='use an exchange without one'):
        loss_of_output(model, torch.zeros(1), [])


def test_cascades_have_no_main_head() -> None:
    model = network('segmentation')
    model.decode_head = nn.ModuleList([model.decode_head] * 2)
    assert main_head(model) is None
