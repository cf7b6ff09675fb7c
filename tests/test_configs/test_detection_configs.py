"""The configs of configs/detection: what they say, and that they train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmdet')
import mmdet  # noqa: E402
from mmengine.dataset import pseudo_collate  # noqa: E402

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.registry import DATASETS, MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'detection'
STOCK = Path(mmdet.__file__).parent / '.mim' / 'configs'
# pair -> student, weight of PKD as published
PAIRS = {
    'retinanet_r101_r50_2x': ('retinanet_r50_2x', 10),
    'retinanet_x101_r50_2x': ('retinanet_r50_2x', 10),
    'faster_rcnn_r101_r50_2x': ('faster_rcnn_r50_2x', 6),
    'fcos_x101_retinanet_r50_1x': ('retinanet_r50_1x', 10),
    'mask_rcnn_swin_retinanet_r50_2x': ('retinanet_r50_2x', 6),
    'gfl_r101_r50_1x': ('gfl_r50_1x', 10),
}
METHODS = ('fitnet', 'pkd')
NETWORKS = ('retinanet', 'faster_rcnn')


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def load(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


def plain(value: Any) -> Any:
    """A config without the scopes that mmengine notes."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != '_scope_'}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize('pair', PAIRS)
def test_only_the_model_differs_from_the_baseline(pair: str) -> None:
    student, weight = PAIRS[pair]
    alone = plain(load(f'baseline_{student}_coco').to_dict())
    for method in METHODS:
        config = plain(load(f'{method}_{pair}_coco').to_dict())
        assert config['model']['student'] == alone['model']
        for key in alone.keys() - {'model'}:
            assert config[key] == alone[key], key
        (loss,) = config['model']['losses'].values()
        assert loss['loss_weight'] == (weight if method == 'pkd' else 1)


@pytest.mark.slow
def test_weights_are_those_of_the_teachers_config() -> None:
    """By the index of mmdetection, name by name."""
    for pair in PAIRS:
        teacher = load(f'pkd_{pair}_coco').model.teacher
        other = load(f'fitnet_{pair}_coco').model.teacher
        assert teacher == other
        folder, name = teacher.config.removeprefix('mmdet::').split('/')
        index = yaml.safe_load((STOCK / folder / 'metafile.yml').read_text())
        (weights,) = (
            model['Weights']
            for model in index['Models']
            if Path(model['Config']).name == name
        )
        assert teacher.checkpoint == weights


def without_downloads(config: Any) -> Any:
    """Random weights for all networks."""
    if isinstance(config, dict):
        for key in list(config):
            if key == 'init_cfg':
                config[key] = None
            else:
                without_downloads(config[key])
    return config


@pytest.mark.slow
@pytest.mark.parametrize('pair', PAIRS)
def test_levels_of_published_pairs_fit(pair: str) -> None:
    for method in METHODS:
        model = without_downloads(load(f'{method}_{pair}_coco').model)
        teacher = load_config(model.teacher.config).model
        teacher = without_downloads(teacher)
        teacher._scope_ = 'mmdet'
        model.teacher = dict(config=teacher, checkpoint=None)
        distiller = MODELS.build(model)
        seen = distiller.rehearse().seen
        channels = [maps.shape[1] for maps in seen['student'].taps['pyramid']]
        assert channels == [256] * 4
        if method == 'fitnet':
            assert len(distiller.losses['fitnet'].regressor) == 4


# -- toys ---------------------------------------------------------------------


def toy_model(name: str, folder: Path) -> Any:
    """The model of a toy config under a teacher of random weights."""
    model = load(name).model
    if 'teacher' in model:
        network = build_network(load_config(model.teacher.config).model)
        path = folder / 'teacher.pth'
        torch.save(dict(state_dict=network.state_dict()), path)
        model.teacher.checkpoint = str(path)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ('method', 'network'),
    [
        ('pkd', 'retinanet'),
        ('fitnet', 'faster_rcnn'),
        pytest.param('fitnet', 'retinanet', marks=pytest.mark.slow),
        pytest.param('pkd', 'faster_rcnn', marks=pytest.mark.slow),
    ],
)
def test_toys_train_one_step(
    network: str, method: str, tmp_path: Path
) -> None:
    name = f'toy_{method}_{network}'
    distiller = MODELS.build(toy_model(name, tmp_path)).train()
    dataset = load(name).train_dataloader.dataset
    dataset.num_samples = 2
    built = DATASETS.build(dataset)
    data = pseudo_collate([built[0], built[1]])
    losses = distiller(**distiller.data_preprocessor(data, True), mode='loss')
    total, logged = distiller.parse_losses(losses)
    total.backward()
    assert logged[f'loss_{method}'] > 0
    convs = distiller.student.neck.fpn_convs
    assert all(conv.conv.weight.grad.abs().max() > 0 for conv in convs)


# Builds a stock network without mmkd and says what boxes it finds.
USE = """
import sys
import torch
from mmengine.config import Config
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

register_all_modules()
config, checkpoint, data, out = sys.argv[1:]
config = Config.fromfile(config)
model = MODELS.build(config.model)
state = torch.load(checkpoint, weights_only=True)['state_dict']
model.load_state_dict(state, strict=True)
data = torch.load(data, weights_only=False)
found = []
with torch.no_grad():
    for sample in model.eval().test_step(data):
        boxes = sample.pred_instances
        found.append((boxes.bboxes, boxes.scores, boxes.labels))
torch.save(found, out)
assert 'mmkd' not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize('network', NETWORKS)
def test_export_gives_the_boxes_in_stock_mmdetection(
    network: str, tmp_path: Path
) -> None:
    """A toy run by the tools: train, test, resume, export, use elsewhere."""
    model = toy_model(f'toy_pkd_{network}', tmp_path)
    project = tmp_path / 'project'
    project.mkdir()
    (project / 'mmkd.py').write_text('raise ImportError')
    head = 'bbox_head=dict(num_classes=7)'
    if network == 'faster_rcnn':
        head = f'roi_head=dict({head})'
    narrow = ROOT / f'configs/_base_/models/{network}_r18_narrow.py'
    (project / 'plain.py').write_text(
        f'_base_ = "{narrow}"\nmodel = dict({head})\n'
    )
    (project / 'use.py').write_text(USE)
    options = [
        f'model.teacher.checkpoint={model.teacher.checkpoint}',
        *(f'train_cfg.{key}=2' for key in ('max_iters', 'val_interval')),
        'default_hooks.checkpoint.interval=2',
        *(f'{k}_dataloader.dataset.num_samples=4' for k in ('train', 'val')),
        'train_dataloader.batch_size=2',
    ]
    config = str(FOLDER / f'toy_pkd_{network}.py')
    folder = str(tmp_path / 'run')

    def tool(name: str, *args: str) -> str:
        return python(str(ROOT / f'tools/{name}.py'), config, *args)

    def python(*args: str, cwd: Path = tmp_path, path: Path = ROOT) -> str:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=cwd,
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(path)},
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    tool('train', '--work-dir', folder, '--cfg-options', *options)
    tool(
        *('train', '--work-dir', folder, '--resume', '--cfg-options'),
        *options[:1],
        *('train_cfg.max_iters=4', 'train_cfg.val_interval=2'),
        *options[3:],
    )
    logs = [path.read_text() for path in Path(folder).glob('*/*.log')]
    assert sum('resumed after 2 iterations' in log for log in logs) == 1
    checkpoint = f'{folder}/iter_4.pth'
    tool(
        *('test', checkpoint, '--work-dir', f'{folder}/test'),
        *('--cfg-options', *options[:1]),
        'test_dataloader.dataset.num_samples=2',
    )
    assert 'equal' in tool(
        'export_student', checkpoint, '--out', str(project / 'plain.pth')
    )

    dataset = load(f'toy_pkd_{network}').val_dataloader.dataset
    dataset.num_samples = 2
    built = DATASETS.build(dataset)
    data = pseudo_collate([built[0], built[1]])
    torch.save(data, project / 'data.pth')
    python(
        *('use.py', 'plain.py', 'plain.pth', 'data.pth', 'boxes.pth'),
        cwd=project,
        path=project,
    )
    distiller = MODELS.build(model)
    distiller.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
    with torch.no_grad():
        wanted = distiller.eval().test_step(data)
    found = torch.load(project / 'boxes.pth', weights_only=True)
    assert len(found) == 2
    for sample, boxes in zip(wanted, found, strict=True):
        kept = sample.pred_instances
        for one, two in zip(
            (kept.bboxes, kept.scores, kept.labels), boxes, strict=True
        ):
            assert torch.equal(one, two)


# -- people of COCO -----------------------------------------------------------


ANNOTATIONS = 'annotations/instances_train2017.json'


def person(annotation: dict) -> bool:
    """Whether an object is of COCO's first category."""
    return annotation['category_id'] == 1


@pytest.mark.slow
@pytest.mark.parametrize('network', NETWORKS)
def test_people_of_coco(network: str, data_root: Path, tmp_path: Path) -> None:
    name = f'fitnet_{network}'
    distiller = MODELS.build(toy_model(f'cpu_{name}_coco_small', tmp_path))
    config = load(f'cpu_{name}_coco_small')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    given = json.loads((data_root / 'coco_small' / ANNOTATIONS).read_text())
    people = {a['image_id'] for a in given['annotations'] if person(a)}
    assert len(dataset) == len(people) > 1
    assert len(DATASETS.build(config.val_dataloader.dataset)) > 1
    data = pseudo_collate([dataset[0], dataset[1]])
    losses = distiller.train()(
        **distiller.data_preprocessor(data, True), mode='loss'
    )
    assert losses['loss_fitnet'] > 0
