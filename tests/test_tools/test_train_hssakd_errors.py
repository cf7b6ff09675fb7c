"""What HSAKD, HSSAKD and CRD refuse, as tools/train.py reports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmpretrain')
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from tests.support.hssakd_toy import config, method, network  # noqa: E402

Refused = Callable[..., str]


@pytest.fixture
def refused(
    tool: Callable[[str], Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Refused:
    """Train a config that must fail, and return the line that says why."""

    def run(settings: Any, *arguments: str) -> str:
        path = tmp_path / f'{tmp_path.name}.py'
        settings.dump(path)
        with pytest.raises(SystemExit) as exit_info:
            tool('train').main([str(path), *arguments])
        assert exit_info.value.code == 2
        lines = capfd.readouterr().err.splitlines()
        (line,) = [text for text in lines if text.startswith('error: ')]
        return line

    return run


@pytest.mark.parametrize('kind', ['student', 'online'])
def test_images_that_are_not_square(
    kind: str, refused: Refused, tmp_path: Path
) -> None:
    line = refused(config(kind, tmp_path, size=(32, 40)))
    assert 'square images, got 32x40' in line
    assert 'crop or resize to a square in train_pipeline' in line


@pytest.mark.parametrize(
    ('mix', 'kind'), [('Mixup', 'student'), ('CutMix', 'online')]
)
def test_mixed_labels(
    mix: str, kind: str, refused: Refused, tmp_path: Path
) -> None:
    settings = config(kind, tmp_path)
    augments = dict(augments=[dict(type=mix, alpha=1.0)])
    settings.model.data_preprocessor = dict(
        type='ClsDataPreprocessor',
        num_classes=7,
        batch_augments=augments,
    )
    line = refused(settings)
    assert 'remove Mixup or CutMix' in line
    assert 'data_preprocessor.batch_augments' in line


def test_unequal_numbers_of_branches(refused: Refused, tmp_path: Path) -> None:
    settings = config('student', tmp_path)
    settings.model.taps.stages = dict(
        student='backbone.layer{1,2,3}', teacher='backbone.layer{1,2,3,4}'
    )
    four = network()
    four['backbone'] = dict(
        type='ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4
    )
    four['head'].update(in_channels=32)
    teacher = method('teacher', tmp_path)
    teacher.update(student=four, taps=dict(stages='backbone.layer{1,2,3,4}'))
    state = MODELS.build(teacher).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'teacher.pth')
    settings.model.teacher.config = four
    line = refused(settings)
    assert '3 student and 4 teacher' in line
    assert 'losses.kl_q' in line


def test_teacher_without_branches(refused: Refused, tmp_path: Path) -> None:
    settings = config('student', tmp_path)
    plain = build_network(network())
    path = settings.model.teacher.checkpoint
    torch.save(dict(state_dict=plain.state_dict()), path)
    line = refused(settings)
    assert f'teacher checkpoint="{path}" has no weights' in line
    assert 'train the teacher with aux_heads=dict(joint=...) first' in line


def test_wrong_path_of_the_teacher(refused: Refused, tmp_path: Path) -> None:
    settings = config('student', tmp_path)
    line = refused(
        settings, '--cfg-options', 'model.teacher.checkpoint=no.pth'
    )
    assert 'checkpoint="no.pth" does not exist' in line
    assert 'correct the path' in line


def test_number_of_samples_of_crd(refused: Refused, tmp_path: Path) -> None:
    settings = config('student', tmp_path)
    model = settings.model
    del model['views'], model['aux_heads'], model['losses']
    model.taps = dict(pooled='neck')
    model.losses = dict(
        crd=dict(
            type='mmkd.CRDLoss',
            on='pooled',
            student_dim=8,
            teacher_dim=8,
            num_samples=50000,
            num_negatives=2,
        )
    )
    settings.custom_hooks = [dict(type='mmkd.DatasetLabelsHook')]
    line = refused(settings)
    assert 'num_samples=50000, but the training set has 8 samples' in line
    assert 'set num_samples=8' in line
