"""The doctor on every shipped toy config with a teacher: no false alarm.

Teachers are trained for a few steps only, so that their batch norms have
statistics; that they know little yet is a true finding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

for package in ('mmpretrain', 'mmseg', 'mmdet'):
    pytest.importorskip(package)

from mmkd.apis.doctor import examine_config  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.runner import build_runner  # noqa: E402

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LITTLE = {'teacher-at-chance', 'teacher-one-answer', 'teacher-flat'}
#: config -> what is found in it, and true
EXPECTED = {
    # classes at the same places: squares of 1 / positions, published weight
    'toy_dsd': {'loss-negligible'},
    # toys, whose teacher has random weights
    **dict.fromkeys(
        [f'toy_features_{k}' for k in ('all', 'classes', 'dense', 'whole')],
        {'teacher-norms-untrained'},
    ),
}


def shipped() -> list[Path]:
    """Return the toy and quickstart configs of distillers with a teacher."""
    paths = [*CONFIGS.glob('*/toy_*.py'), *CONFIGS.glob('quickstart/*.py')]
    return [
        path
        for path in sorted(paths)
        if (read_config(str(path), stages=True).get('model') or {}).get(
            'teacher'
        )
    ]


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that trains a teacher's config a little."""
    folder = tmp_path_factory.mktemp('teachers')

    def of(name: str) -> str:
        config: Any = read_config(name)
        file = folder / f'{Path(name).stem}.pth'
        if file.exists():
            return str(file)
        for part in ('val', 'test'):
            for key in ('cfg', 'dataloader', 'evaluator'):
                config[f'{part}_{key}'] = None
        steps = 80 if 'quickstart' in name else 20
        config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps)
        loader = config.train_dataloader
        loader.update(num_workers=0, persistent_workers=False)
        loader.sampler = dict(type='InfiniteSampler', shuffle=True)
        config.default_hooks.checkpoint = dict(
            type='CheckpointHook', by_epoch=False, interval=1000
        )
        config.custom_hooks = []
        config.work_dir = str(folder / file.stem)
        config.experiment_name = file.stem
        runner = build_runner(config)
        runner.train()
        torch.save(dict(state_dict=runner.model.state_dict()), file)
        return str(file)

    return of


def test_there_are_configs_of_all_kinds() -> None:
    folders = {path.parent.name for path in shipped()}
    assert {'quickstart', 'seg_baselines', 'detection', 'hssakd'} <= folders
    assert {'feature_distillation', 'mcl_moco'} <= folders


@pytest.mark.parametrize('path', shipped(), ids=lambda path: path.stem)
def test_no_false_alarm(path: Path, weights: Any) -> None:
    config = read_config(str(path))
    teacher = config.model.teacher
    if teacher.get('config'):
        teacher.checkpoint = weights(teacher.config)
    report = examine_config(config)
    assert report.skipped == {}
    found = {finding.cause for finding in report.findings}
    expected = EXPECTED.get(path.stem, set())
    assert found - LITTLE == expected
