"""Two steps of training through a real runner, for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.checkpoints.read import read_checkpoint
from mmkd.deploy import load_network_weights
from mmkd.networks import build_network
from mmkd.toys import TASKS, toy_network
from tests.support.toy_runner import Diary, make_runner


@pytest.mark.parametrize('task', TASKS)
def test_two_steps(
    config: Any, tmp_path: Path, task: str, logits_paths: dict[str, str]
) -> None:
    diary = Diary()
    runner = make_runner(
        str(tmp_path), config(task), task, steps=2, diary=diary, save_every=2
    )
    distiller = runner.model
    first = {k: v.clone() for k, v in distiller.state_dict().items()}
    frozen = {
        k: v.clone() for k, v in distiller.teachers[0].state_dict().items()
    }
    runner.train()

    assert sorted(diary.losses) == [0, 1]
    for logged in diary.losses.values():
        own = [k for k in logged if 'loss' in k and k != 'loss']
        assert 'loss_kd' in own
        assert len(own) >= 2
        total = sum(logged[key] for key in own)
        assert logged['loss'] == pytest.approx(total, rel=1e-5)
    for key, value in distiller.teachers[0].state_dict().items():
        assert torch.equal(value, frozen[key]), key

    saved = read_checkpoint(tmp_path / 'iter_2.pth')['state_dict']
    assert saved.keys() == first.keys()
    for path in ('backbone.conv1', logits_paths[task]):
        key = f'student.{path}.weight'
        assert not torch.equal(saved[key], first[key])
    moved = set(runner.optim_wrapper.optimizer.state)
    assert moved == set(distiller.student.parameters())

    plain = build_network(toy_network(task, 4))
    assert load_network_weights(plain, tmp_path / 'iter_2.pth') == {}
    for key, value in plain.state_dict().items():
        assert torch.equal(value, saved[f'student.{key}'])


def test_mmengine_resumes_its_own_checkpoint(
    config: Any, tmp_path: Path
) -> None:
    """Its log history is not among torch's safe classes by default."""
    make_runner(str(tmp_path), config(), steps=2, save_every=2).train()
    data = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
    assert data['message_hub']['log_scalars']
    runner = make_runner(str(tmp_path), config(), steps=3, resume=True)
    runner.train()
    assert runner.iter == 3
    history, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(history) == 3


def test_two_stage_detector_teaches(
    build: Any, batch: Any, checkpoint: Any
) -> None:
    """Its forward pass needs the sizes of the images, and mmcv's operators."""
    teacher = two_stage_detector()
    taps = dict(feats=dict(student='neck', teacher='neck'))
    loss = dict(type='mmkd.TinyMSELoss', on='feats')
    distiller = build(
        'detection',
        teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
        taps=taps,
        losses=dict(feats=loss),
    )
    losses = distiller(**batch(distiller, 'detection'), mode='loss')
    assert losses['loss_feats'].isfinite()


def two_stage_detector() -> Any:
    """Faster R-CNN whose pyramid is that of the student."""
    model = toy_network('detection', 8)
    student = toy_network('detection', 4)
    channels = student['neck']['out_channels']
    model['neck']['out_channels'] = channels
    del model['bbox_head']
    model['type'] = 'FasterRCNN'
    coder = dict(type='DeltaXYWHBBoxCoder')
    model['rpn_head'] = dict(
        type='RPNHead',
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[4],
            ratios=[1.0],
            strides=[8, 16, 32],
        ),
        bbox_coder=coder,
    )
    model['roi_head'] = dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=1),
            out_channels=channels,
            featmap_strides=[8, 16, 32],
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=channels,
            fc_out_channels=8,
            roi_feat_size=3,
            num_classes=7,
            bbox_coder=coder,
        ),
    )
    nms = dict(type='nms', iou_threshold=0.7)
    model['test_cfg'] = dict(
        rpn=dict(nms_pre=20, max_per_img=10, nms=nms, min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=nms, max_per_img=10),
    )
    return model
