"""Given outputs are judged as if a network had computed them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.head_outputs import (
    final_output,
    loss_of_output,
    outputs_kept,
    predictions_of_outputs,
)
from mmkd.networks import build_network
from mmkd.tasks import main_head
from mmkd.toys import toy_network
from tests.support.toy_cohort import batch_for
from tests.support.toy_hourglass import SIZE, hourglass
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


def test_output_of_one_stage_of_a_head_of_several() -> None:
    """All stages are judged as the head does, one by the loss of the last."""
    config = hourglass(3)
    loss = config['head']['loss']
    config['head']['loss'] = [dict(loss, loss_weight=w) for w in (1, 2, 5)]
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = build_network(config).eval()
    head = model.head
    batch = batch_for(model, 'pose', size=SIZE)
    with outputs_kept(head) as kept:
        own = model(**batch, mode='loss')['loss_kpt']
    samples = batch['data_samples']
    assert torch.equal(loss_of_output(model, kept[0], samples), own)
    truth = torch.stack([s.gt_fields.heatmaps for s in samples])
    weights = torch.cat(
        [s.gt_instance_labels.keypoint_weights for s in samples]
    )
    found = loss_of_output(model, kept[0][0], samples)
    assert torch.equal(found, head.loss_module[2](kept[0][0], truth, weights))
    assert len(head.loss_module) == head.num_stages == 3
    assert final_output(head, kept[0]) is kept[0][-1]
    batch = batch_for(model, 'pose', training=False, size=SIZE)
    own = model(**batch, mode='predict')[0].pred_instances
    given = final_output(head, kept[0])
    again = predictions_of_outputs(
        model, batch['inputs'], batch['data_samples'], [given]
    )[0].pred_instances
    assert (own.keypoints == again.keypoints).all()


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
