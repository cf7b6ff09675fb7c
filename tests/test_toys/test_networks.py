from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from torch import nn

from mmkd.toys import TASKS, toy_batch, toy_network

pytest.importorskip('mmseg')


def built(task: str, width: int = 8) -> nn.Module:
    network = MODELS.build(toy_network(task, width=width))
    network.init_weights()
    return network


@pytest.mark.parametrize('task', TASKS)
def test_training_steps_lower_the_loss(task: str) -> None:
    network = built(task).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    wrapper = OptimWrapper(optimizer)
    batch = toy_batch(task, num_samples=4)
    losses = [
        network.train_step(batch, wrapper)['loss'].item() for _ in range(8)
    ]
    assert losses[-1] < losses[0]


def prediction(task: str, sample: Any) -> torch.Tensor:
    if task == 'classification':
        return sample.pred_score
    if task == 'segmentation':
        return sample.pred_sem_seg.data
    if task == 'pose':
        return torch.as_tensor(sample.pred_instances.keypoints)
    return sample.pred_instances.bboxes


@pytest.mark.parametrize(
    ('task', 'shape'),
    [
        ('classification', (7,)),
        ('segmentation', (1, 64, 64)),
        ('pose', (1, 14, 2)),
        ('detection', (None, 4)),
    ],
)
def test_prediction_step(task: str, shape: tuple) -> None:
    samples = built(task).eval().test_step(toy_batch(task, num_samples=2))
    assert len(samples) == 2
    for sample in samples:
        found = prediction(task, sample)
        assert torch.isfinite(found).all()
        for size, expected in zip(found.shape, shape, strict=True):
            assert expected in (None, size)


@pytest.mark.parametrize('task', TASKS)
def test_width_scales_the_network(task: str) -> None:
    small, large = (
        sum(p.numel() for p in built(task, width).parameters())
        for width in (8, 16)
    )
    assert 3 < large / small < 4.5


def test_each_call_gives_a_fresh_dictionary() -> None:
    first = toy_network('segmentation')
    first.decode_head.num_classes = 3
    assert toy_network('segmentation').decode_head.num_classes == 8


def test_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="task='depth'"):
        toy_network('depth')
