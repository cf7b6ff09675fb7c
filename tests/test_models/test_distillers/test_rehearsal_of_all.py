"""The rehearsal runs what users bring, in all four tasks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd.checkpoints.verify import random_inputs, raw_outputs
from mmkd.inputs import image_samples, input_shapes
from mmkd.networks import build_network
from mmkd.toys import toy_batch
from mmkd.toys.shapes import OBJECTS
from tests.support import other_networks as networks

#: name -> (scope, tap of what a loss reads, shape of the rehearsal)
CASES = dict(
    faster_rcnn=('mmdet', 'rpn_head.rpn_cls', (3, 224, 224)),
    mask_rcnn=('mmdet', 'neck', (3, 224, 224)),
    cascade_rcnn=('mmdet', 'neck', (3, 224, 224)),
    retinanet=('mmdet', 'bbox_head.retina_cls', (3, 224, 224)),
    detr=('mmdet', 'bbox_head.fc_cls', (3, 224, 224)),
    vision_transformer=('mmpretrain', 'head.layers.head', (3, 32, 32)),
    mlp_mixer=('mmpretrain', 'head.fc', (3, 48, 48)),
    swin=('mmpretrain', 'head.fc', (3, 384, 384)),
    grey_classifier=('mmpretrain', 'head.fc', (1, 224, 224)),
    four_channel_segmentor=(
        'mmseg',
        'decode_head.conv_seg',
        (4, 224, 224),
    ),
    rtmpose=('mmpose', 'head.cls_x', (3, 96, 64)),
)


@pytest.fixture
def make(checkpoint: Any) -> Any:
    def distiller(name: str, loss: Any = None, tap: str = '') -> Any:
        scope, usual, _ = CASES[name]
        network = getattr(networks, name)
        with DefaultScope.overwrite_default_scope(scope):
            teacher = network(8)
            cfg = dict(
                type='mmkd.OfflineDistiller',
                student=network(4),
                teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
                taps=dict(logits=tap or usual),
                losses=dict(
                    kd=dict(loss or dict(type='mmkd.TinyMSELoss'), on='logits')
                ),
            )
            return ROOT_MODELS.build(cfg)

    return distiller


def shapes(value: Any) -> list[torch.Size]:
    values = value if isinstance(value, list) else [value]
    return [tensor.shape for tensor in values]


@pytest.mark.parametrize('name', CASES)
def test_shapes_are_those_of_a_real_run(make: Any, name: str) -> None:
    distiller = make(name)
    before = copy.deepcopy(distiller.state_dict())
    state = torch.get_rng_state()
    report = distiller.rehearse()
    assert report is not None
    assert report.shape == CASES[name][2]
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in distiller.state_dict().items():
        assert torch.equal(value, before[key])
    for label in ('student', 'teacher'):
        role = distiller.role(label)
        network = role.network.eval()
        samples = image_samples(network, 2, report.shape)
        inputs = torch.randn(2, *report.shape)
        with torch.no_grad(), role.taps.recording() as record:
            network(inputs, samples, mode='tensor')
        seen = report.seen[label]
        assert shapes(seen.taps['logits']) == shapes(record['logits'])
        assert seen.multiply_adds > 0


@pytest.mark.parametrize('name', CASES)
def test_a_loss_that_does_not_fit_is_found(make: Any, name: str) -> None:
    wrong = dict(
        type='mmkd.FitNetLoss', student_channels=99, teacher_channels=7
    )
    with pytest.raises(ValueError, match=r'losses\.kd'):
        make(name, wrong)


def test_lists_for_a_loss_of_single_tensors(make: Any) -> None:
    with pytest.raises(ValueError, match=r'losses\.kd .*does not fit'):
        make('retinanet', dict(type='mmkd.DKDLoss'))


@pytest.mark.parametrize(
    ('name', 'path'),
    [
        ('faster_rcnn', 'roi_head.bbox_head.fc_clss'),
        ('rtmpose', 'head.cls_z'),
        ('grey_classifier', 'backbone.layer5'),
    ],
)
def test_a_misspelt_tap_is_found(make: Any, name: str, path: str) -> None:
    with pytest.raises(KeyError, match=path.rpartition('.')[2]):
        make(name, tap=path)


def test_regions_of_two_networks_are_no_pairs(make: Any) -> None:
    tap = 'roi_head.bbox_head.fc_cls'
    with pytest.raises(ValueError, match=r'losses\.kd .*propose other regi'):
        make('faster_rcnn', tap=tap)
    with DefaultScope.overwrite_default_scope('mmdet'):
        distiller = ROOT_MODELS.build(
            dict(
                type='mmkd.OfflineDistiller',
                student=networks.faster_rcnn(4),
                teacher=None,
                taps=dict(logits=tap),
            )
        )
    (rows,) = shapes(distiller.rehearse().seen['student'].taps['logits'])
    assert rows[1] == len(OBJECTS) + 1 and rows[0] <= 20


# -- a softmax over the wrong dimension --------------------------------------


def test_a_softmax_over_joints_is_refused(make: Any) -> None:
    with pytest.raises(
        ValueError, match=r'losses\.kd .*\(2, 5, 128\).*joints, bins.*dim=2'
    ):
        make('rtmpose', dict(type='mmkd.KLDivLoss'))


def test_a_softmax_over_images_is_refused(make: Any) -> None:
    with pytest.raises(
        ValueError, match=r'losses\.kd .*\(1, 2, 5, 8\).*queries.*dim=3'
    ):
        make('detr', dict(type='mmkd.KLDivLoss'))
    for dim in (3, -1):
        assert make('detr', dict(type='mmkd.KLDivLoss', dim=dim)).rehearse()
    assert make('detr', dict(type='mmkd.KLDivLoss'), tap='neck').rehearse()


def test_a_softmax_over_bins_learns(make: Any) -> None:
    from mmkd.models.losses import KLDivLoss

    distiller = make('rtmpose', dict(type='mmkd.KLDivLoss', dim=2))
    found = distiller.eval().observe(torch.randn(2, 3, 96, 64)).tensors
    student, teacher = (found[k]['logits'] for k in ('student', 'teacher'))
    rows = [logits.flatten(0, 1) for logits in (student, teacher)]
    loss = distiller.losses['kd'](student, teacher)
    torch.testing.assert_close(loss, KLDivLoss()(*rows))
    weight = distiller.student.head.cls_x.weight
    assert torch.autograd.grad(loss, weight)[0].abs().max() > 0


def test_peers_with_a_softmax_over_joints() -> None:
    cfg = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[networks.rtmpose()] * 2),
        taps=dict(logits='head.cls_{x,y}'),
        exchange=dict(type='mmkd.MutualExchange'),
    )
    with DefaultScope.overwrite_default_scope('mmpose'):
        with pytest.raises(ValueError, match=r'exchange Mutual.*dim=2'):
            ROOT_MODELS.build(copy.deepcopy(cfg))
        cfg['exchange'] = dict(
            type='mmkd.MutualExchange',
            transfer_loss=dict(type='mmkd.KLDivLoss', dim=2),
        )
        assert ROOT_MODELS.build(cfg).rehearse() is not None


# -- steps, cohorts, exports -------------------------------------------------


def test_a_two_stage_detector_trains(make: Any) -> None:
    distiller = make('faster_rcnn')
    with DefaultScope.overwrite_default_scope('mmdet'):
        raw = toy_batch('detection', 2)
        data = distiller.data_preprocessor(raw, True)
        losses = distiller(**data, mode='loss')
    assert losses['loss_kd'] > 0 and losses['loss_kd'].requires_grad
    data['data_samples'][0].gt_instances.labels[0] = len(OBJECTS)
    with pytest.raises(ValueError, match=r'roi_head\.bbox_head\.num_classes'):
        distiller(**data, mode='loss')


def test_a_cohort_of_two_stage_detectors_shares_its_stem() -> None:
    cfg = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(
            type='mmkd.Cohort',
            peers=[networks.faster_rcnn()] * 2,
            shared=['backbone'],
        ),
        taps=dict(feats='neck'),
        exchange=dict(
            type='mmkd.LossExchange',
            on='feats',
            loss=dict(type='mmkd.PeersDiffer'),
        ),
    )
    from mmkd.registry import MODELS

    @MODELS.register_module(force=True)
    class PeersDiffer(torch.nn.Module):
        def forward(self, feats: Any) -> torch.Tensor:
            return (feats[0][0] - feats[1][0]).square().mean()

    with DefaultScope.overwrite_default_scope('mmdet'):
        model = ROOT_MODELS.build(copy.deepcopy(cfg))
        assert model.rehearse() is not None
        cfg['cohort']['shared'] = ['neck']
        with pytest.raises(ValueError, match='which runs before it'):
            ROOT_MODELS.build(cfg)


@pytest.mark.parametrize('name', CASES)
def test_exports_are_compared_on_such_images(name: str) -> None:
    scope, _, shape = CASES[name]
    with DefaultScope.overwrite_default_scope(scope):
        network = build_network(getattr(networks, name)()).eval()
    inputs = random_inputs(network)
    assert inputs.shape == (2, *shape)
    with torch.no_grad():
        outputs = raw_outputs(network, inputs)
    assert outputs and all(value.isfinite().all() for value in outputs)


def test_the_padded_size_comes_first() -> None:
    with DefaultScope.overwrite_default_scope('mmseg'):
        cfg = networks.four_channel_segmentor()
        cfg.data_preprocessor.size = (48, 64)
        cfg.data_preprocessor.pop('size_divisor')
        network = build_network(cfg)
    assert input_shapes(network)[0] == (4, 48, 64)


def test_one_mean_for_three_channels() -> None:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        cfg = networks.toy_classifier(4)
        cfg.data_preprocessor.update(mean=[127.5], std=[64.0], to_rgb=False)
        assert input_shapes(build_network(cfg)) == [(3, 224, 224)]
