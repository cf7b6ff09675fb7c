"""Configs of HSAKD and HSSAKD: constants, branches, training steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from tests.references.hssakd import learning_rate  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'hssakd'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
STUDENTS = [n for n in NAMES if n.startswith(('hsakd_', 'ablation_'))]
ALONE = [
    n
    for n in NAMES
    if n.startswith(('teacher_joint', 'online', 'toy_teacher', 'toy_online'))
]


def config_of(name: str) -> Any:
    return Config.fromfile(FOLDER / f'{name}.py')


def build(model: Any) -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(model).train()


def one_step(distiller: Any, size: int = 32) -> dict[str, torch.Tensor]:
    labels = [0, 1, 2]
    samples = [DataSample().set_gt_label(label) for label in labels]
    losses = distiller(torch.randn(3, 3, size, size), samples, mode='loss')
    total, _ = distiller.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert all(
        parameter.grad is not None
        for parameter in distiller.parameters()
        if parameter.requires_grad
    )
    return losses


def test_folder_has_all_pairs() -> None:
    pairs = [n for n in STUDENTS if n.startswith('hsakd_joint_')]
    assert len(pairs) == 8 + 3 + 1
    assert len([n for n in NAMES if n.startswith('online_x2_')]) == 9


@pytest.mark.parametrize('name', STUDENTS)
def test_what_a_student_learns_from(name: str) -> None:
    config = config_of(name)
    model = config.model
    assert {'kl_q', 'kl_p'} <= set(model.losses)
    for key in ('kl_q', 'kl_p'):
        assert model.losses[key].temperature == 3.0
    kind = 'joint' if 'joint' in name or 'ablation' in name else 'frozen'
    teacher = Path(model.teacher.checkpoint).stem
    assert f'teacher_{kind}_' in model.teacher.config
    assert model.teacher.config.endswith(f'{teacher}.py')
    taught = config_of(teacher).model
    stages = model.taps.stages
    assert taught.taps.stages == (
        stages if isinstance(stages, str) else stages.teacher
    )
    assert taught.aux_heads.joint == model.aux_heads.joint


@pytest.mark.parametrize('name', NAMES)
def test_constants(name: str) -> None:
    config = config_of(name)
    if name.startswith(('toy_', 'cpu_', 'faster_')):
        return
    optimizer = config.optim_wrapper.optimizer
    imagenet = 'imagenet' in name
    assert optimizer.get('nesterov', False) != imagenet
    assert optimizer.weight_decay == (1e-4 if imagenet else 5e-4)
    student = name.removesuffix('_cifar100')
    small = student.endswith(('mobilenet_v2', 'net_v1', 'shufflenet_v2'))
    rate = 0.1 if imagenet else 0.01 if small else 0.05
    assert optimizer.lr == rate
    short = imagenet or 'frozen' in name
    assert config.train_cfg.max_epochs == (100 if short else 240)
    wanted = [30, 60, 90] if short else [150, 180, 210]
    assert config.param_scheduler.milestones == wanted


def test_learning_rate_equals_published_one(golden: Any) -> None:
    case = golden('hssakd', 'lr_schedule')['lr_cifar_per_epoch']
    config = config_of('baseline_wrn_16_2_cifar100')
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.05)
    scheduler = PARAM_SCHEDULERS.build(
        dict(**config.param_scheduler, optimizer=optimizer)
    )
    rates = []
    for _ in range(240):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, case, rtol=1e-6)
    by_hand = [learning_rate(e, 0.05, [150, 180, 210]) for e in range(240)]
    np.testing.assert_allclose(by_hand, case, rtol=1e-6)


@pytest.mark.parametrize('percent', [25, 50, 75])
def test_few_shot(percent: int) -> None:
    for kind in ('hsakd_resnet56_resnet20', 'hsakd_joint_resnet56_resnet20'):
        config = config_of(f'{kind}_{percent}_cifar100')
        assert config.train_dataloader.dataset.fraction == percent / 100
        assert 'fraction' not in config.val_dataloader.dataset


@pytest.mark.parametrize('percent', [25, 50, 75])
@pytest.mark.parametrize('method', ['kd', 'crd', 'sskd'])
def test_few_shot_of_other_methods(method: str, percent: int) -> None:
    config = config_of(f'{method}_resnet56_resnet20_{percent}_cifar100')
    assert config.train_dataloader.dataset.fraction == percent / 100
    assert set(config.model.losses) == {method}
    if method == 'crd':
        loss = config.model.losses.crd
        assert loss.num_samples == 500 * percent
        others = loss.num_samples - loss.num_samples // 100
        assert loss.replacement == (loss.num_negatives > others)


@pytest.mark.parametrize('data', ['voc0712', 'coco'])
def test_detection_reads_the_students_backbone(data: str) -> None:
    pytest.importorskip('mmdet')
    model = config_of(f'faster_rcnn_r18_fpn_{data}').model
    init = model.backbone.pop('init_cfg')
    assert init.prefix == 'backbone.'
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build({**model, '_scope_': 'mmdet'})
    student = build_network(str(FOLDER / 'baseline_resnet18_imagenet.py'))
    state = student.backbone.state_dict()
    detector.backbone.load_state_dict(state, strict=True)


@pytest.mark.parametrize('name', [n for n in ALONE if 'toy' in n])
def test_one_step_of_the_toys(name: str) -> None:
    losses = one_step(build(config_of(name).model))
    assert sum('loss' in key for key in losses) >= 2


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in ALONE if 'toy' not in n])
def test_one_step(name: str) -> None:
    size = 64 if 'imagenet' in name else 32
    model = config_of(name).model
    losses = one_step(build(model), size)
    expected = {'loss_task', 'loss_joint'}
    if name.startswith('online'):
        terms = (*expected, 'loss_kl_q', 'loss_kl_p')
        peers = range(len(model.cohort.peers))
        expected = {f'peer{k}.{term}' for k in peers for term in terms}
    assert losses.keys() == expected


def test_toy_teacher_teaches_the_toy_student(tmp_path: Path) -> None:
    teacher = build(config_of('toy_teacher_joint').model)
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 't.pth')
    model = config_of('toy_hsakd').model
    model.teacher.checkpoint = str(tmp_path / 't.pth')
    losses = one_step(build(model))
    assert set(losses) >= {'loss_task', 'loss_kl_q', 'loss_kl_p'}
