"""The rehearsal at build time."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmkd.models.distillers.rehearsal import watch
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.wiring import Wiring
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_network, toy_segmentor


def with_auxiliary_head(width: int) -> Any:
    model = toy_segmentor(width)
    model['auxiliary_head'] = dict(
        type='FCNHead',
        in_channels=4 * width,
        in_index=2,
        channels=8,
        num_convs=1,
        num_classes=8,
    )
    return model


@pytest.mark.parametrize(
    'task', ['classification', 'segmentation', 'pose', 'detection']
)
def test_every_task_is_rehearsed(build: Any, task: str) -> None:
    report = build(task).rehearse()
    assert report is not None
    size = (64, 64) if task == 'pose' else (224, 224)  # its codec's
    assert report.shape == (3, *size)
    student, teacher = report.seen['student'], report.seen['teacher']
    assert student.multiply_adds > 1e6
    assert teacher.multiply_adds > student.multiply_adds
    assert set(student.taps) == {'feats', 'logits'}


def test_shapes_are_those_of_a_real_run(build: Any) -> None:
    distiller = build(input_shape=(3, 64, 96))
    report = distiller.rehearse((3, 64, 96))
    taps = distiller.role('student').taps
    with torch.no_grad(), taps.recording() as record:
        distiller.student(torch.zeros(2, 3, 64, 96), None, mode='tensor')
    for name, value in report.seen['student'].taps.items():
        assert value.shape == record[name].shape


def test_nothing_changes(build: Any) -> None:
    memory = dict(
        type='mmkd.PixelRegionMemoryLoss',
        on='feats',
        num_classes=8,
        student_channels=32,
        teacher_channels=64,
        pixel_memory_size=40,
        region_memory_size=8,
        pixel_contrast_size=64,
        region_contrast_size=16,
    )
    distiller = build(losses=dict(memory=memory), dry_run=False)
    distiller.losses['memory'].projection.eval()  # a mixed state
    both = [distiller, *distiller.teachers]
    state = [copy.deepcopy(model.state_dict()) for model in both]
    modes = [[m.training for m in model.modules()] for model in both]
    randoms = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
    )
    assert distiller.rehearse() is not None
    assert torch.equal(torch.get_rng_state(), randoms[0])
    assert np.array_equal(np.random.get_state()[1], randoms[1])
    assert random.getstate() == randoms[2]
    for model, before, mode in zip(both, state, modes, strict=True):
        assert [m.training for m in model.modules()] == mode
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key]), key
        assert all(p.device.type == 'cpu' for p in model.parameters())
        assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in distiller.modules())


def test_same_weights_with_and_without(build: Any) -> None:
    first, second = build(), build(dry_run=False)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


@pytest.mark.parametrize(
    'name',
    [
        'deeplabv3/deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py',
        'segformer/segformer_mit-b4_8xb1-160k_cityscapes-1024x1024.py',
    ],
    ids=['deeplabv3-r101', 'segformer-b4'],
)
@pytest.mark.slow
def test_large_networks_cost_little(name: str) -> None:
    network = build_network(f'mmseg::{name}')
    taps = dict(logits='decode_head.conv_seg')
    role = Role('student', network, Wiring(taps, {}, ()))
    start = time.process_time()
    report = watch(role, 2, (3, 512, 1024))
    assert time.process_time() - start < 3
    assert report.taps['logits'].shape[:2] == (2, 19)
    assert report.taps['logits'].device.type == 'meta'


def test_loss_that_fits_only_the_true_size(build: Any) -> None:
    """Small sizes are tried first; a refusal there is no verdict."""

    @MODELS.register_module(force=True)
    class TinySizedLoss(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.mix = nn.Linear(size * size, 2)

        def forward(self, student: Any, teacher: Any) -> torch.Tensor:
            s, t = self.mix(student.flatten(2)), self.mix(teacher.flatten(2))
            return (s - t).square().mean()

    loss = dict(type='mmkd.TinySizedLoss', on='logits', size=28)
    distiller = build(losses=dict(sized=loss))
    assert distiller.rehearse() is not None
    loss['size'] = 27
    with pytest.raises(ValueError, match='losses.sized .TinySizedLoss. does'):
        build(losses=dict(sized=loss))


def test_aux_head_that_does_not_fit(build: Any) -> None:
    head = dict(
        type='mmkd.TinyBranch', on='feats', in_channels=31, out_channels=9
    )
    loss = dict(type='mmkd.TinyJointLoss', on='joint')
    with pytest.raises(ValueError) as error:
        build(
            'classification',
            teacher=None,
            views=dict(type='mmkd.RotationViews'),
            aux_heads=dict(joint=head),
            losses=dict(joint=loss),
        )
    assert 'aux_heads.joint.in_channels=31' in str(error.value)
    assert 'set in_channels=32' in str(error.value)
    assert '(8, 32, 7, 7)' in str(error.value)


def test_module_of_the_teacher_that_never_runs(
    build: Any, checkpoint: Any
) -> None:
    with pytest.raises(ValueError) as error:
        build(
            'segmentation',
            taps=dict(
                logits=dict(
                    student='decode_head.conv_seg',
                    teacher='decode_head.loss_decode',
                )
            ),
        )
    assert 'taps.logits="decode_head.loss_decode"' in str(error.value)
    assert 'tap another one' in str(error.value)


def test_auxiliary_heads_run_on_both_sides(
    build: Any, batch: Any, checkpoint: Any
) -> None:
    """A student runs them for its losses, a teacher because of the tap."""
    model = with_auxiliary_head(8)
    distiller = build(
        student=with_auxiliary_head(4),
        teacher=dict(config=model, checkpoint=checkpoint(model)),
        taps=dict(logits='auxiliary_head.conv_seg'),
    )
    text = distiller.summary(distiller.rehearse())
    for role in ('student', 'teacher'):
        assert f'{role} auxiliary_head.conv_seg (2, 8, 28, 28)' in text
    data = batch(distiller)
    losses = distiller(**data, mode='loss')
    teacher = distiller.teachers[0].network
    assert 'extract_feat' not in vars(teacher)
    with torch.no_grad():
        feats = teacher.extract_feat(data['inputs'])
        wanted = teacher.auxiliary_head(feats)
    seen = distiller.observe(**data).tensors
    torch.testing.assert_close(seen['teacher']['logits'], wanted)
    assert losses['loss_kd'].isfinite()


def test_module_of_the_student_that_runs_in_training_only(build: Any) -> None:
    taps = dict(
        logits=dict(
            student='decode_head.loss_decode', teacher='decode_head.conv_seg'
        )
    )
    distiller = build('segmentation', taps=taps)
    assert '(runs in training only)' in distiller.summary(distiller.rehearse())


def test_index_errors_are_found(build: Any) -> None:
    taps = dict(logits='backbone[7]')
    with pytest.raises(ValueError, match='no entry 7 in a tuple of 4'):
        build(taps=taps)


def test_network_that_cannot_be_rehearsed(
    build: Any, batch: Any, caplog: Any
) -> None:
    """It is said, and training goes on."""

    @MODELS.register_module(force=True)
    class TinyFullBackbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer4 = nn.Conv2d(3, 8, 8, stride=8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            if self.training:
                return (self.layer4(x),)
            raise RuntimeError('only in training')

    student = toy_segmentor(4)
    student['backbone'] = dict(type='mmkd.TinyFullBackbone')
    student['decode_head'].update(in_channels=8, in_index=0)
    distiller = build(student=student)
    assert distiller.rehearse() is None
    assert 'multiply-adds' not in distiller.summary()
    losses = distiller(**batch(distiller), mode='loss')
    assert losses['loss_kd'].isfinite()


def test_network_without_a_meta_form(build: Any) -> None:
    """A real copy runs in its place."""

    @MODELS.register_module(force=True)
    class TinyNumpyBackbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer4 = nn.Conv2d(3, 8, 8, stride=8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            torch.from_numpy(x.detach().numpy())  # no meta form
            return (self.layer4(x),)

    student = toy_segmentor(4)
    student['backbone'] = dict(type='mmkd.TinyNumpyBackbone')
    student['decode_head'].update(in_channels=8, in_index=0)
    report = build(student=student).rehearse()
    assert report.seen['student'].taps['logits'].shape == (2, 8, 28, 28)
    assert report.seen['student'].multiply_adds > 1e5


def test_summary_tells_everything(build: Any) -> None:
    taps = dict(
        feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
    )
    losses = dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits', loss_weight=0.5),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss',
            on='feats',
            num_classes=8,
            student_channels=8,
            teacher_channels=16,
            pixel_memory_size=40,
            region_memory_size=8,
            pixel_contrast_size=64,
            region_contrast_size=16,
        ),
    )
    distiller = build(taps=taps, losses=losses)
    text = distiller.summary(distiller.rehearse())
    count = sum(p.numel() for p in distiller.student.parameters()) / 1e6
    for part in (
        f'student: EncoderDecoder, {count:.3f} M parameters',
        'G multiply-adds, trained',
        f'frozen, {distiller.teachers[0].checkpoint}',
        'student decode_head.conv_seg:input (2, 8, 28, 28)',
        'teacher decode_head.conv_seg:input (2, 16, 28, 28)',
        'kd: KLDivLoss x 0.5 (student logits, teacher logits)',
        'pixel_loss_weight=0.1',
        '(student feats, teacher feats, labels)',
        'saved: student, losses.memory; deployed: student',
    ):
        assert part in text, text


def test_toy_multiply_adds_by_hand() -> None:
    network = build_network(toy_network('classification', 4))
    role = Role('student', network, Wiring({}, {}, ()))
    report = watch(role, 1, (3, 32, 32))
    total = 0

    def count(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        nonlocal total
        per_output = module.weight[0].numel()
        total += per_output * output.numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 3, 32, 32), None, mode='tensor')
    assert report.multiply_adds == total


@MODELS.register_module(force=True)
class TinyIdentityHead(torch.nn.Identity):
    """Gives back what it reads."""


def test_heads_without_parameters_are_not_trained(build: Any) -> None:
    head = dict(type='mmkd.TinyIdentityHead', on='logits')
    distiller = build(
        aux_heads=dict(same=head),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='same')),
    )
    lines = distiller.summary().splitlines()
    text = 'aux_heads.same: TinyIdentityHead, without parameters'
    assert [line.strip() for line in lines if 'aux_heads.same:' in line] == [
        f'student {text}',
        f'teacher {text}',
    ]


def test_no_empty_summary(build: Any, monkeypatch: Any) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        'mmkd.models.distillers.assembly.print_log',
        lambda text, **kwargs: said.append(text),
    )
    build(dry_run=False, teacher=None, taps=None, losses=None)
    assert said == []  # as the export tool does
    build(teacher=None, taps=None, losses=None)
    assert len(said) == 1
