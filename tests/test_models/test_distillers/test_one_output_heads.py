"""Binary segmentation with a single sigmoid output."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd.networks import build_network
from mmkd.tasks import check_class_labels, num_classes
from mmkd.toys import toy_segmentor

MEMORY = dict(
    type='mmkd.PixelRegionMemoryLoss',
    on='feats',
    pixel_memory_size=40,
    region_memory_size=16,
    pixel_contrast_size=16,
    region_contrast_size=8,
)


def binary(width: int, classes: int = 2) -> Any:
    model = toy_segmentor(width, classes)
    model.decode_head.out_channels = 1
    model.decode_head.threshold = 0.5
    model.decode_head.loss_decode = dict(
        type='CrossEntropyLoss', use_sigmoid=True
    )
    return model


@pytest.fixture
def make(checkpoint: Any) -> Any:
    def distiller(losses: Any, classes: int = 2, **changes: Any) -> Any:
        teacher = binary(8, classes)
        cfg = dict(
            type='mmkd.OfflineDistiller',
            student=binary(4, classes),
            teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
            taps=dict(
                feats='decode_head.conv_seg:input',
                logits='decode_head.conv_seg',
            ),
            losses=losses,
            **changes,
        )
        with DefaultScope.overwrite_default_scope('mmseg'):
            return ROOT_MODELS.build(cfg)

    return distiller


def two_classes(batch: Any) -> Any:
    for number, sample in enumerate(batch['data_samples']):
        labels = sample.gt_sem_seg.data % 2
        labels[:, :2] = 255
        if number:
            labels[:, 2:4] = 1
        sample.gt_sem_seg.data = labels
    return batch


def test_softmax_is_refused_before_there_are_data(make: Any) -> None:
    kd = dict(type='mmkd.KLDivLoss', on='logits')
    with pytest.raises(
        ValueError, match=r'losses\.kd .*\(2, 1, 28, 28\).*sigmoid=True'
    ):
        make(dict(kd=kd))


def test_softmax_is_refused_in_the_step(make: Any, batch: Any) -> None:
    kd = dict(type='mmkd.KLDivLoss', on='logits')
    distiller = make(dict(kd=kd), dry_run=False)
    inputs = two_classes(batch(distiller))
    with pytest.raises(
        ValueError, match=r'^losses\.kd .*\(2, 1, \d+, \d+\).*sigmoid=True'
    ):
        distiller(**inputs, mode='loss')


@pytest.mark.parametrize('classes', [2, 1])
def test_sigmoid_and_memory_learn(make: Any, batch: Any, classes: int) -> None:
    kd = dict(type='mmkd.KLDivLoss', on='logits', sigmoid=True)
    distiller = make(dict(kd=kd, memory=dict(MEMORY)), classes)
    assert distiller.losses['memory'].num_classes == 2
    losses = distiller(**two_classes(batch(distiller)), mode='loss')
    assert losses['loss_kd'] > 0
    weight = distiller.student.decode_head.conv_seg.weight
    grad = torch.autograd.grad(losses['loss_kd'], weight, retain_graph=True)[0]
    assert grad.abs().max() > 0
    memory = losses['loss_memory_p2p'] + losses['loss_memory_p2r']
    projection = list(distiller.losses['memory'].projection.parameters())
    grads = torch.autograd.grad(memory, projection, allow_unused=True)
    assert any(g is not None and g.abs().max() > 0 for g in grads)
    # both classes were written into the queues
    assert (distiller.losses['memory'].pixel_ptr > 0).all()


@pytest.mark.parametrize('classes', [2, 1])
def test_labels_of_two_classes_alone(batch: Any, classes: int) -> None:
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = build_network(binary(4, classes))
    assert num_classes(network) == 2
    samples = two_classes(batch(network))['data_samples']
    check_class_labels(network, samples)
    samples[0].gt_sem_seg.data[0, -1, -1] = 3
    with pytest.raises(ValueError, match=r'\[3\].*decode_head\.'):
        check_class_labels(network, samples)


def test_memory_of_one_class_names_two(make: Any, batch: Any) -> None:
    distiller = make(dict(memory=dict(MEMORY, num_classes=1)))
    inputs = two_classes(batch(distiller))
    with pytest.raises(ValueError, match=r'losses\.memory.*num_classes=2'):
        distiller(**inputs, mode='loss')


@pytest.mark.parametrize(
    'exchange',
    [
        dict(type='mmkd.MutualExchange'),
        dict(type='mmkd.CollaborativeExchange'),
        dict(type='mmkd.LogitEnsembleExchange'),
        dict(type='mmkd.KnowledgeCollaborationExchange', target='mean'),
        dict(type='mmkd.KnowledgeCollaborationExchange', target='linear'),
        dict(
            type='mmkd.LossExchange',
            on='logits',
            loss=dict(type='mmkd.LogitEnsembleKDLoss'),
        ),
    ],
)
def test_exchanges_refuse_a_softmax_over_one(exchange: Any) -> None:
    cfg = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[binary(4), binary(4)]),
        taps=dict(logits='decode_head.conv_seg'),
        exchange=exchange,
    )
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        pytest.raises(ValueError, match=r'exchange \w+ .*sigmoid=True'),
    ):
        ROOT_MODELS.build(cfg)


def test_peers_teach_each_other_by_sigmoid(batch: Any) -> None:
    cfg = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[binary(4), binary(4)]),
        taps=dict(logits='decode_head.conv_seg'),
        exchange=dict(
            type='mmkd.MutualExchange',
            transfer_loss=dict(type='mmkd.KLDivLoss', sigmoid=True),
        ),
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = ROOT_MODELS.build(cfg)
    model.init_weights()
    losses = model(**two_classes(batch(model)), mode='loss')
    assert losses['peer0.loss_kd'].requires_grad
    assert losses['peer0.loss_kd'] > 0
