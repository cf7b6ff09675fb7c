"""Batches that a distiller must refuse, or survive."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

MEMORY = dict(
    type='mmkd.PixelRegionMemoryLoss',
    on='feats',
    num_classes=8,
    student_channels=8,
    teacher_channels=16,
    pixel_memory_size=40,
    region_memory_size=8,
    pixel_contrast_size=64,
    region_contrast_size=16,
)
CIRKD: dict[str, Any] = dict(
    taps=dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    ),
    losses=dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits'),
        minibatch=dict(type='mmkd.MiniBatchPixelRelationLoss', on='feats'),
        memory=MEMORY,
    ),
)


def step(distiller: Any, data: dict[str, Any]) -> dict[str, Any]:
    losses = distiller(**data, mode='loss')
    distiller.parse_losses(losses)  # looks whether they are finite
    return losses


# -- labels ----------------------------------------------------------------


@pytest.mark.parametrize('value', [8, 254, -1])
def test_label_maps_outside_the_classes(
    build: Any, batch: Any, value: int
) -> None:
    distiller = build()
    data = batch(distiller)
    data['data_samples'][1].gt_sem_seg.data[0, 3, 4] = value
    with pytest.raises(ValueError) as error:
        step(distiller, data)
    message = str(error.value)
    assert f'labels contain [{value}]' in message
    assert 'decode_head.num_classes=8 and ignore_index=255' in message


def test_class_labels_outside_the_classes(build: Any, batch: Any) -> None:
    distiller = build('classification')
    data = batch(distiller, 'classification')
    data['data_samples'][0].gt_label[0] = 7
    with pytest.raises(ValueError, match=r'\[7\], but head.num_classes=7'):
        step(distiller, data)


def test_box_labels_outside_the_classes(build: Any, batch: Any) -> None:
    distiller = build('detection')
    data = batch(distiller, 'detection')
    data['data_samples'][0].gt_instances.labels[0] = 9
    with pytest.raises(ValueError, match=r'\[9\], but bbox_head.num_classes'):
        step(distiller, data)


def test_ignored_labels_are_fine_and_checks_can_be_off(
    build: Any, batch: Any
) -> None:
    distiller = build()
    data = batch(distiller)
    data['data_samples'][0].gt_sem_seg.data[:, :5] = 255
    step(distiller, data)
    distiller.check_labels = False
    data['data_samples'][0].gt_sem_seg.data[0, 0, 0] = 99
    with pytest.raises(Exception) as error:  # whatever torch says
        step(distiller, data)
    assert 'num_classes=' not in str(error.value)


def test_batch_without_any_label(build: Any, batch: Any) -> None:
    distiller = build(**CIRKD).train()
    data = batch(distiller)
    for sample in data['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    memory = distiller.losses['memory']
    before = {k: v.clone() for k, v in memory.named_buffers()}
    losses = step(distiller, data)
    parsed, _ = distiller.parse_losses(losses)
    parsed.backward()
    assert float(losses['loss_memory_p2p'].detach()) == 0.0
    assert float(losses['loss_memory_p2r'].detach()) == 0.0
    assert all(value.isfinite() for value in losses.values())
    for name, parameter in distiller.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    for name in ('pixel_queue', 'region_queue', 'pixel_ptr', 'region_ptr'):
        assert torch.equal(getattr(memory, name), before[name]), name


# -- what losses may ask for -----------------------------------------------


def test_values_by_name(build: Any, batch: Any) -> None:
    extras = dict(type='mmkd.TinyExtrasLoss', on='logits')
    distiller = build(losses=dict(extra=extras))
    data = batch(distiller, num=3)
    hub = MessageHub.get_current_instance()
    hub.update_info('epoch', 5)
    hub.update_info('iter', 17)
    try:
        losses = step(distiller, data)
    finally:
        hub.pop_info('epoch')
        hub.pop_info('iter')
    seen = distiller.losses['extra'].seen
    maps = [s.gt_sem_seg.data for s in data['data_samples']]
    assert torch.equal(seen['labels'], torch.cat(maps))
    assert seen['sample_idx'].tolist() == [
        s.sample_idx for s in data['data_samples']
    ]
    assert (seen['epoch'], seen['iteration']) == (5, 17)
    assert float(losses['loss_extra_a'].detach()) == 1.0
    assert float(losses['loss_extra_b'].detach()) == 2.0


def test_samples_without_index(build: Any, batch: Any) -> None:
    extras = dict(type='mmkd.TinyExtrasLoss', on='logits')
    distiller = build(losses=dict(extra=extras))
    data = batch(distiller)
    for sample in data['data_samples']:
        del sample.sample_idx
    with pytest.raises(ValueError, match='add "sample_idx" to meta_keys'):
        step(distiller, data)


def test_samples_without_labels(build: Any, batch: Any) -> None:
    extras = dict(type='mmkd.TinyExtrasLoss', on='logits')
    distiller = build('pose', losses=dict(extra=extras))
    with pytest.raises(ValueError, match='a loss asks for "labels"'):
        step(distiller, batch(distiller, 'pose'))


# -- non-finite losses -----------------------------------------------------


def spoil(module: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        module.weight[0, 0] = value


def test_student_gone_wrong(build: Any, batch: Any) -> None:
    distiller = build().train()
    spoil(distiller.student.backbone.conv1, float('nan'))
    optimizer = OptimWrapper(
        torch.optim.SGD(distiller.parameters(), lr=0.1, momentum=0.9)
    )
    before = {k: v.clone() for k, v in distiller.student.named_parameters()}
    data = batch(distiller)
    distiller.data_preprocessor.forward = lambda data, training: data
    with pytest.raises(FloatingPointError) as error:
        distiller.train_step(data, optimizer)
    message = str(error.value)
    assert message.startswith('decode.loss_ce is nan')
    assert 'images (2, 3, 64, 64) in [-1.9' in message
    assert 'optim_wrapper.optimizer.lr' in message
    for key, value in distiller.student.named_parameters():
        assert torch.equal(value.nan_to_num(7), before[key].nan_to_num(7))
        assert value.grad is None
    assert optimizer.optimizer.state == {}


@pytest.mark.parametrize('value', [float('inf'), float('nan')])
def test_loss_and_range_are_named(
    build: Any, batch: Any, value: float
) -> None:
    distiller = build()
    spoil(distiller.teachers[0].network.decode_head.conv_seg, value)
    with pytest.raises(FloatingPointError) as error:
        step(distiller, batch(distiller))
    message = str(error.value)
    assert message.startswith('loss_kd is ')
    assert 'student logits (2, 8, 8, 8) in [' in message
    assert 'teacher logits (2, 8, 8, 8) in [' in message
    assert 'of 1024 not finite' in message


def test_lists_of_losses_are_checked(build: Any, batch: Any) -> None:
    """Heads of several levels return a list per loss."""
    distiller = build('detection').train()
    data = batch(distiller, 'detection')
    original = distiller.student.bbox_head.loss_by_feat

    def broken(*args: Any, **kwargs: Any) -> Any:
        losses = original(*args, **kwargs)
        bad = losses['loss_cls'] * float('nan')
        return {**losses, 'loss_cls': [losses['loss_cls'], bad]}

    distiller.student.bbox_head.loss_by_feat = broken
    with pytest.raises(FloatingPointError, match='loss_cls is nan'):
        step(distiller, data)


def test_check_can_be_off(build: Any, batch: Any) -> None:
    distiller = build(check_finite=False)
    spoil(distiller.teachers[0].network.decode_head.conv_seg, float('nan'))
    assert step(distiller, batch(distiller))['loss_kd'].isnan()


def test_images_of_no_use(build: Any, batch: Any) -> None:
    """Constant images and images of NaN."""
    distiller = build(**CIRKD)
    data = batch(distiller)
    data['inputs'] = torch.zeros_like(data['inputs'])
    losses = step(distiller, copy.deepcopy(data))
    assert all(v.isfinite() for v in losses.values())
    data['inputs'] = data['inputs'] + float('nan')
    with pytest.raises(FloatingPointError, match='24576 of 24576 not finite'):
        step(distiller, data)
