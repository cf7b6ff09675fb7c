"""ViewMetricsHook and what it logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from mmkd.evaluation.view_metrics import view_metrics  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.toys import toy_batch  # noqa: E402
from tests.support.hssakd_toy import config, method  # noqa: E402

NETWORKS = dict(teacher=[''], student=[''], online=['peer0.', 'peer1.'])


@pytest.mark.slow
@pytest.mark.parametrize('kind', NETWORKS)
def test_metrics_are_logged_beside_the_accuracy(
    kind: str, tmp_path: Path
) -> None:
    settings = config(kind, tmp_path)
    settings.custom_hooks = [dict(type='mmkd.ViewMetricsHook')]
    settings.experiment_name = f'{kind}_{tmp_path.name}'
    runner = Runner.from_cfg(settings)
    runner.train()
    (file,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    (logged,) = [line for line in lines if 'accuracy/top1' in line]
    names = {
        f'{prefix}branch{k}/{what}_accuracy'
        for prefix in NETWORKS[kind]
        for k in (1, 2, 3)
        for what in ('joint', 'class')
    }
    if kind != 'teacher':
        names |= {f'rotation{d}/agreement' for d in (0, 90, 180, 270)}
    assert names <= set(logged)
    again = view_metrics(runner.model, runner.val_dataloader)
    assert set(again) == names
    for name, value in again.items():
        assert logged[name] == pytest.approx(value, abs=1e-3)
        assert 0 <= value <= 100


def test_best_branch_chooses_the_checkpoint(tmp_path: Path) -> None:
    settings = config('teacher', tmp_path)
    settings.custom_hooks = [dict(type='mmkd.ViewMetricsHook')]
    save = dict(type='CheckpointHook', save_best='joint_accuracy')
    settings.default_hooks = dict(checkpoint=save)
    settings.experiment_name = f'best_{tmp_path.name}'
    runner = Runner.from_cfg(settings)
    runner.train()
    (path,) = (tmp_path / 'run').glob('best_joint_accuracy_epoch_1.pth')
    found = view_metrics(runner.model, runner.val_dataloader)
    best = max(found[f'branch{k}/joint_accuracy'] for k in (1, 2, 3))
    assert runner.message_hub.get_info('best_score') == pytest.approx(best)


@pytest.mark.parametrize('first', [True, False])
def test_averaged_weights_are_evaluated(tmp_path: Path, first: bool) -> None:
    """Wherever the two hooks stand in the config."""
    settings = config('teacher', tmp_path)
    hooks = [
        dict(type='EMAHook', momentum=0.5),
        dict(type='mmkd.ViewMetricsHook'),
    ]
    settings.custom_hooks = hooks if first else hooks[::-1]
    settings.optim_wrapper.optimizer.lr = 1.0  # so that the two differ
    settings.experiment_name = f'ema{first}_{tmp_path.name}'
    runner = Runner.from_cfg(settings)
    seen = []
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'EMAHook']
    fc = runner.model.student.head.fc

    def look(*_: Any) -> None:
        if not runner.model.training:
            seen.append(fc.weight.detach().clone())

    runner.model.views.register_forward_hook(look)
    runner.train()
    averaged = hook.ema_model.module.student.head.fc.weight
    assert not torch.equal(averaged, fc.weight)
    assert seen and all(torch.equal(value, averaged) for value in seen)


def build(kind: str, folder: Path) -> Any:
    config(kind, folder)  # writes the teacher
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(method(kind, folder)).eval()


def test_values_by_hand(tmp_path: Path) -> None:
    """One image at a time, turned by numpy-like indexing."""
    student = build('student', tmp_path)
    batch = toy_batch('classification', 6, size=(32, 32))
    found = view_metrics(student, [batch])
    data = student.data_preprocessor(toy_batch('classification', 6, (32, 32)))
    joint, classes, agreement = [0.0] * 3, [0.0] * 3, [0.0] * 4
    teacher = student.teachers[0]
    for image, sample in zip(
        data['inputs'], data['data_samples'], strict=True
    ):
        label = int(sample.gt_label)
        turned = image
        for turn in range(4):
            stages = student.student.backbone(turned[None])
            heads = student.aux_heads['joint']
            with student.role('student').taps.recording() as record:
                own = student.student(turned[None], mode='tensor')
            other = teacher.network(turned[None], mode='tensor')
            agreement[turn] += float(own.argmax() == other.argmax())
            for k, logits in enumerate(heads(record['stages'])):
                joint[k] += float(logits.argmax() == 4 * label + turn)
                table = logits.reshape(7, 4).sum(1)
                classes[k] += float(table.argmax() == label)
            assert len(stages)
            turned = turned.transpose(-2, -1).flip(-2)
    for k in range(3):
        key = f'branch{k + 1}'
        assert found[f'{key}/joint_accuracy'] == pytest.approx(
            100 * joint[k] / 24
        )
        assert found[f'{key}/class_accuracy'] == pytest.approx(
            100 * classes[k] / 24
        )
    for turn in range(4):
        assert found[f'rotation{90 * turn}/agreement'] == pytest.approx(
            100 * agreement[turn] / 6
        )


def test_equal_networks_agree(tmp_path: Path) -> None:
    student = build('student', tmp_path)
    student.student.load_state_dict(student.teachers[0].network.state_dict())
    found = view_metrics(student, [toy_batch('classification', 4, (32, 32))])
    assert {v for k, v in found.items() if 'agreement' in k} == {100.0}


def test_batches_of_unequal_size_count_by_images(tmp_path: Path) -> None:
    student = build('student', tmp_path)
    whole = toy_batch('classification', 6, (32, 32))
    parts = [
        {key: value[rows] for key, value in whole.items()}
        for rows in (slice(0, 4), slice(4, 6))
    ]
    together = view_metrics(student, [whole])
    assert view_metrics(student, parts) == pytest.approx(together)


@pytest.mark.parametrize('key', ['views', 'aux_heads'])
def test_refuses_other_models(key: str, tmp_path: Path) -> None:
    model = method('teacher', tmp_path)
    del model[key], model['losses']
    model['taps'] = {}
    model.pop('aux_heads', None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        distiller = MODELS.build(model)
    with pytest.raises(ValueError, match='remove\\s+ViewMetricsHook'):
        view_metrics(distiller, [toy_batch('classification', 2, (32, 32))])
