"""Configs of feature distillation build, read their data and step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

pytest.importorskip('mmpretrain')
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.datasets.transforms import DropKeys  # noqa: E402
from mmkd.stages import read_stages  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'feature_distillation'
TERMS = dict(
    dense={'dense'},
    whole={'whole'},
    classes={'classes'},
    all={'dense', 'whole', 'classes'},
)


@pytest.mark.parametrize('term', TERMS)
def test_toys_train_a_step_without_labels(term: str) -> None:
    config = Config.fromfile(FOLDER / f'toy_features_{term}.py')
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).train()
    losses = model(torch.randn(4, 3, 32, 32), None, mode='loss')
    assert losses.keys() == {f'loss_{name}' for name in TERMS[term]}
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()


def test_the_published_form_of_the_pseudo_classes() -> None:
    config = Config.fromfile(FOLDER / 'resnet50_dinov2_vits14_folder.py')
    loss = config.model.losses.classes
    assert (loss.queue_size, loss.temperature) == (65536, 0.2)
    assert loss.teacher_temperature == 0.01
    assert config.train_dataloader.dataset.with_label is False


def test_an_image_folder_without_labels_gives_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2
    import numpy as np

    monkeypatch.setenv('DATA', str(tmp_path))
    (tmp_path / 'any').mkdir()
    for k in range(2):
        image = np.full((240, 250, 3), k, np.uint8)
        cv2.imwrite(str(tmp_path / 'any' / f'{k}.png'), image)
    config = Config.fromfile(FOLDER / 'resnet50_dinov2_vits14_folder.py')
    init_default_scope('mmpretrain')
    data = DATASETS.build(config.train_dataloader.dataset)
    assert len(data) == 2
    assert data[0]['inputs'].shape == (3, 224, 224)
    assert 'gt_label' not in data[0]['data_samples']


def test_drop_keys() -> None:
    found = DropKeys(['gt_label', 'other']).transform(dict(gt_label=3, img=1))
    assert found == dict(img=1)
    assert DropKeys('img').transform(dict(img=1)) == {}


def test_labels_of_the_proof_are_equally_many_of_each_class() -> None:
    file = FOLDER / 'cpu_labels_resnet18_imagenette.py'
    stages = {
        s.name: s for s in read_stages(read_config(str(file), stages=True))
    }
    for share, of_each in (('1', 1), ('10', 10)):
        for kind in ('distilled', 'scratch'):
            config = stages[f'{kind}_{share}'].config
            indices = config.train_dataloader.dataset.indices
            classes = [index // 100 for index in indices]
            assert classes == sorted(list(range(10)) * of_each)
    assert stages['distilled_100'].uses == {'distill'}
    assert stages['scratch_100'].uses == set()
    assert stages['distilled_1'].config.train_cfg == (
        stages['scratch_1'].config.train_cfg
    )
