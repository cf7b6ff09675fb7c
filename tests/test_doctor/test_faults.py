"""Thirty faults and more, each found by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.doctor import examine
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.registry import MODELS
from mmkd.toys import toy_batch, toy_detector, toy_segmentor

pytest.importorskip('mmpretrain')

from tests.support import colour_teacher as colour  # noqa: E402


@MODELS.register_module(force=True)
class AgainstLoss(nn.Module):
    """The teacher's answers, to be avoided."""

    def forward(self, student: Any, teacher: Any) -> torch.Tensor:
        picked = student.log_softmax(1).gather(1, teacher.argmax(1)[:, None])
        return picked.mean()


@MODELS.register_module(force=True)
class InfiniteLoss(nn.Module):
    """Infinity, once there are real tensors."""

    def forward(self, student: Any, teacher: Any) -> torch.Tensor:
        return student.mean() / (0.0 if len(student) > 2 else 1.0)


@dataclass
class Case:
    """What a distillation is made of; a fault changes some of it."""

    student: dict[str, Any] = field(default_factory=colour.network)
    teacher: dict[str, Any] = field(default_factory=colour.network)
    loss: dict[str, Any] = field(
        default_factory=lambda: dict(
            type='mmkd.KLDivLoss', on='logits', temperature=4.0
        )
    )
    taps: dict[str, str] = field(
        default_factory=lambda: dict(logits='head.fc', maps='backbone')
    )
    batches: list[dict[str, Any]] = field(default_factory=colour.batches)
    teach: Callable[[Any], None] = colour.teach
    after: Callable[[OfflineDistiller], None] = lambda distiller: None

    def causes(self) -> list[str]:
        """Build the distiller, and return the causes that are found."""
        torch.manual_seed(0)
        distiller = OfflineDistiller(
            student=self.student,
            teacher=dict(config=self.teacher, checkpoint=None),
            taps=self.taps,
            losses=dict(kd=self.loss),
        )
        distiller.student.init_weights()
        with torch.no_grad():
            self.teach(distiller.teachers[0].network)
            self.after(distiller)
        report = examine(distiller, self.batches)
        assert not report.skipped
        return list(dict.fromkeys(f.cause for f in report.findings))


def teacher_of(distiller: OfflineDistiller) -> Any:
    return distiller.teachers[0].network


def on_inputs(change: Callable[[torch.Tensor], Any]) -> Callable:
    def fault(case: Case) -> None:
        for batch in case.batches:
            batch['inputs'] = [change(image) for image in batch['inputs']]

    return fault


def on_labels(change: Callable[[int], int | None]) -> Callable:
    def fault(case: Case) -> None:
        for batch in case.batches:
            for sample in batch['data_samples']:
                label = change(int(sample.gt_label))
                del sample.gt_label
                if label is not None:
                    sample.set_gt_label(label)

    return fault


def on_teacher(change: Callable[[Any], None]) -> Callable:
    def fault(case: Case) -> None:
        case.after = lambda distiller: change(teacher_of(distiller))

    return fault


def on_student(change: Callable[[Any], None]) -> Callable:
    def fault(case: Case) -> None:
        case.after = lambda distiller: change(distiller.student)

    return fault


def setting(**values: Any) -> Callable:
    def fault(case: Case) -> None:
        for name, value in values.items():
            setattr(case, name, value)

    return fault


def forward(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    """The backbone's maps are changed on their way out."""

    def patch(network: Any) -> None:
        own = network.backbone.forward
        network.backbone.forward = lambda images: (change(own(images)[0]),)

    return patch


def scale_head(factor: float) -> Callable[[Any], None]:
    def change(network: Any) -> None:
        network.head.fc.weight.mul_(factor)
        network.head.fc.bias.mul_(factor)

    return change


def reorder_head(order: list[int]) -> Callable[[Any], None]:
    def change(network: Any) -> None:
        network.head.fc.weight.copy_(network.head.fc.weight[order])
        network.head.fc.bias.copy_(network.head.fc.bias[order])

    return change


def norm(weight: float, bias: float) -> Callable[[Any], None]:
    def change(network: Any) -> None:
        network.backbone.norm.weight.fill_(weight)
        network.backbone.norm.bias.fill_(bias)

    return change


def one_live_channel(network: Any) -> None:
    norm(0.0, -1.0)(network)
    network.backbone.norm.weight[0], network.backbone.norm.bias[0] = 1.0, 1.0


def larger_maps(network: Any) -> None:
    forward(lambda maps: maps * 1e6)(network)
    network.head.fc.weight.div_(1e6)


def untaught(network: Any) -> None:
    network.backbone.norm.running_mean.fill_(0.1)  # trained, on other data
    nn.init.normal_(network.head.fc.weight, std=0.2)


def both_alike(case: Case) -> None:
    case.after = lambda d: d.student.load_state_dict(
        teacher_of(d).state_dict()
    )


def better_student(case: Case) -> None:
    def after(distiller: OfflineDistiller) -> None:
        colour.teach(distiller.student)
        reorder_head([1, 0, 2, 3, 4, 5])(teacher_of(distiller))

    case.after = after


def shuffled_labels(case: Case) -> None:
    generator = torch.Generator().manual_seed(3)
    on_labels(
        lambda _: int(torch.randint(colour.COUNT, (), generator=generator))
    )(case)


def shifted(case: Case) -> None:
    case.batches = colour.batches(labels=[0, 1, 2, 3, 4])
    on_teacher(reorder_head([5, 0, 1, 2, 3, 4]))(case)


def of_scenes(network: Any, change: Callable[[Any], None]) -> Callable:
    """A toy network of another task, its own teacher."""

    def fault(case: Case) -> None:
        task = 'segmentation' if network is toy_segmentor else 'detection'
        batch = toy_batch(task, 4)
        for sample in batch['data_samples']:
            change(sample)
        case.student, case.teacher = network(4), network(8)
        case.batches, case.teach = [batch], trained_norms
        case.taps = dict(maps='backbone[-1]')
        case.loss = dict(
            type='mmkd.FitNetLoss',
            on='maps',
            student_channels='auto',
            teacher_channels='auto',
        )

    return fault


def trained_norms(network: Any) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.01)


def no_pixels(sample: Any) -> None:
    sample.gt_sem_seg.data.fill_(255)


def no_boxes(sample: Any) -> None:
    sample.gt_instances = sample.gt_instances[:0]


def small_scenes(case: Case) -> None:
    of_scenes(toy_segmentor, lambda sample: None)(case)
    for network in (case.student, case.teacher):
        network.backbone.update(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
        network.data_preprocessor.update(test_cfg=None, size_divisor=32)
    case.batches = [toy_batch('segmentation', 4, size=(32, 32))]


def fitnet(case: Case) -> None:
    case.loss = dict(type='mmkd.FitNetLoss', on='maps')


def with_fitnet(fault: Callable[[Case], None]) -> Callable[[Case], None]:
    def both(case: Case) -> None:
        fitnet(case)
        fault(case)

    return both


def weighted(weight: float) -> Callable[[Case], None]:
    return lambda case: case.loss.update(loss_weight=weight)


def positions(maps: torch.Tensor) -> torch.Tensor:
    grid = torch.arange(maps[0].numel()).view(maps[0].shape)
    return (grid + 0 * maps.clamp(0, 0)).float() / 100


#: fault -> (what is changed, the cause that must be named)
FAULTS: dict[str, tuple[Callable[[Case], Any], str]] = {
    'std of 0': (
        setting(student=colour.network(std=[0.0] * 3)),
        'images-not-finite',
    ),
    'black images': (on_inputs(torch.zeros_like), 'images-constant'),
    'one image for all': (
        lambda case: on_inputs(lambda _: case.batches[0]['inputs'][0])(case),
        'images-repeated',
    ),
    'scaled before': (
        on_inputs(lambda image: image.float() / 255),
        'images-flat',
    ),
    'no mean, no std': (
        setting(student=colour.network(mean=None, std=None)),
        'images-not-normalized',
    ),
    'not shuffled': (
        setting(batches=colour.batches(labels=[2])),
        'labels-one-class',
    ),
    'no labels': (on_labels(lambda _: None), 'labels-missing'),
    'a label too many': (on_labels(lambda k: k + 1), 'labels-out-of-range'),
    'masks of 255': (of_scenes(toy_segmentor, no_pixels), 'labels-empty'),
    'no boxes': (of_scenes(toy_detector, no_boxes), 'labels-empty'),
    'labels of other images': (shuffled_labels, 'labels-contradict-teacher'),
    'weights that diverged': (
        on_teacher(lambda net: net.head.fc.weight[0].fill_(float('nan'))),
        'teacher-weights-not-finite',
    ),
    'no running statistics': (
        on_teacher(lambda net: net.backbone.norm.reset_running_stats()),
        'teacher-norms-untrained',
    ),
    'teacher loaded into the student': (both_alike, 'teacher-is-student'),
    'noise in the teacher': (
        on_teacher(forward(lambda maps: maps + torch.randn_like(maps))),
        'teacher-random',
    ),
    'statistics of the batch': (
        on_teacher(forward(lambda maps: maps - maps.mean((0, 2, 3), True))),
        'teacher-batch-dependent',
    ),
    'overflow': (
        on_teacher(forward(lambda maps: maps * float('inf'))),
        'teacher-not-finite',
    ),
    'images scaled to nothing': (
        on_teacher(forward(lambda maps: maps * 0)),
        'teacher-ignores-images',
    ),
    'teacher of 0 to 1': (
        setting(teacher=colour.network(mean=[0.0] * 3, std=[255.0] * 3)),
        'teacher-normalization',
    ),
    'teacher of raw pixels': (
        setting(teacher=colour.network(mean=[0.0] * 3, std=[1.0] * 3)),
        'teacher-normalization',
    ),
    'red and blue exchanged': (
        setting(teacher=colour.network(to_rgb=False)),
        'teacher-colours-swapped',
    ),
    'classes in another order': (
        on_teacher(reorder_head([3, 5, 0, 1, 2, 4])),
        'teacher-classes-permuted',
    ),
    'a background class': (shifted, 'teacher-classes-shifted'),
    'untrained teacher': (setting(teach=untaught), 'teacher-at-chance'),
    'one class for all': (
        on_teacher(lambda net: net.head.fc.bias[4].fill_(1e6)),
        'teacher-one-answer',
    ),
    'logits too small': (on_teacher(scale_head(1e-3)), 'teacher-flat'),
    'logits too large': (on_teacher(scale_head(100.0)), 'teacher-saturated'),
    'student is better': (better_student, 'teacher-worse-than-student'),
    'NaN in the student': (
        on_student(lambda net: net.backbone.conv.weight.fill_(float('nan'))),
        'tap-not-finite',
    ),
    'dead ReLUs': (with_fitnet(on_student(norm(0.0, -1.0))), 'tap-dead'),
    'one value everywhere': (
        with_fitnet(on_student(norm(0.0, 1.0))),
        'tap-constant',
    ),
    'one channel alive': (
        with_fitnet(
            lambda case: (
                setattr(case, 'student', colour.network(width=16)),
                case.loss.update(
                    student_channels='auto', teacher_channels='auto'
                ),
                on_student(one_live_channel)(case),
            )
        ),
        'tap-dead-channels',
    ),
    'positions alone': (
        with_fitnet(on_student(forward(positions))),
        'tap-ignores-images',
    ),
    'features of other size': (
        with_fitnet(on_teacher(larger_maps)),
        'tap-scale',
    ),
    'images too small': (small_scenes, 'tap-one-pixel'),
    'weight of the loss too large': (weighted(1e5), 'loss-dominates'),
    'weight of the loss too small': (weighted(1e-8), 'loss-negligible'),
    'weight of the loss is 0': (weighted(0.0), 'loss-without-gradient'),
    'wrong sign': (
        setting(loss=dict(type='mmkd.AgainstLoss', on='logits')),
        'loss-against-task',
    ),
    'infinite loss': (
        setting(loss=dict(type='mmkd.InfiniteLoss', on='logits')),
        'loss-not-finite',
    ),
    'no task loss': (
        lambda case: case.student['head']['loss'].update(loss_weight=0.0),
        'task-without-gradient',
    ),
}


def test_healthy_pair_has_no_findings() -> None:
    assert Case().causes() == []
    healthy = Case()
    fitnet(healthy)
    assert healthy.causes() == []


def test_there_are_thirty_causes() -> None:
    assert len(FAULTS) > 30
    assert len({cause for _, cause in FAULTS.values()}) > 30


@pytest.mark.parametrize('fault', FAULTS)
def test_fault_is_named(fault: str) -> None:
    change, cause = FAULTS[fault]
    case = Case()
    change(case)
    assert case.causes() == [cause]


def test_nothing_changes() -> None:
    distiller = OfflineDistiller(
        student=colour.network(),
        teacher=dict(config=colour.network(), checkpoint=None),
        taps=dict(logits='head.fc'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
    )
    before = {k: v.clone() for k, v in distiller.state_dict().items()}
    state = torch.get_rng_state()
    examine(distiller, colour.batches(1))
    assert torch.equal(state, torch.get_rng_state())
    for key, value in distiller.state_dict().items():
        assert torch.equal(before[key], value), key
    assert all(p.grad is None for p in distiller.parameters())
