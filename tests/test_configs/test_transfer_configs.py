"""Detectors and segmentors start from the backbone of an exported peer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from tools import export_student  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'transfer'
PUBLISHED = sorted(p.stem for p in FOLDER.glob('resnet*.py'))
CPU = 'cpu_dml_x2_imagenette'


def scope_of(name: str) -> str:
    return 'mmseg' if 'deeplab' in name else 'mmdet'


@pytest.fixture(scope='module')
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tools/export_student.py` writes of the second peer."""
    folder = tmp_path_factory.mktemp('student')
    config = Config.fromfile(FOLDER / f'{CPU}.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            dict(**config.model, data_preprocessor=config.data_preprocessor)
        )
    torch.save(dict(state_dict=model.state_dict()), folder / 'run.pth')
    out = folder / 'student.pth'
    export_student.main(
        [
            *(str(FOLDER / f'{CPU}.py'), str(folder / 'run.pth')),
            *('--peer', '1', '--out', str(out)),
        ]
    )
    return out


def started(name: str, checkpoint: Path) -> tuple[dict, dict]:
    """Return the backbone's state and the exported one."""
    model = Config.fromfile(FOLDER / f'{name}.py').model
    model.backbone.init_cfg.checkpoint = str(checkpoint)
    with DefaultScope.overwrite_default_scope(scope_of(name)):
        network = MODELS.build({**model, '_scope_': scope_of(name)})
        network.init_weights()
    exported = read_checkpoint(checkpoint)['state_dict']
    return network.backbone.state_dict(), {
        key.removeprefix('backbone.'): value
        for key, value in exported.items()
        if key.startswith('backbone.')
    }


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_backbone_is_the_exported_one(name: str, tmp_path: Path) -> None:
    depth = name.split('_')[0].removeprefix('resnet')
    config = f'mmpretrain::_base_/models/resnet{depth}.py'
    network = build_network(config)
    path = tmp_path / 'student.pth'
    torch.save(dict(state_dict=network.state_dict()), path)
    found, exported = started(name, path)
    assert found.keys() == exported.keys()
    for key, value in exported.items():
        assert torch.equal(found[key], value), key


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['faster_rcnn_coco_small', 'deeplabv3_camvid']
)
def test_a_few_steps_on_small_sets(
    name: str, student: Path, tmp_path: Path, data_root: Path
) -> None:
    found, exported = started(f'cpu_{name}', student)
    assert found.keys() == exported.keys()
    assert all(torch.equal(found[k], v) for k, v in exported.items())
    config = read_config(
        str(FOLDER / f'cpu_{name}.py'),
        {'model.backbone.init_cfg.checkpoint': str(student)},
    )
    config.work_dir = str(tmp_path)
    config.train_cfg.max_iters = 4
    config.default_hooks.logger.interval = 1
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    runner = Runner.from_cfg(config)
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 4 and all(0 < loss < 100 for loss in losses)
    after = runner.model.backbone.state_dict()
    assert not torch.equal(after['conv1.weight'], exported['conv1.weight'])
