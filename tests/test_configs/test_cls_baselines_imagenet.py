"""The CRD benchmark's losses on ImageNet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'cls_baselines'
PAIR = 'resnet34_resnet18_imagenet'
METHODS = ('at', 'cc', 'crd', 'dkd', 'kd', 'rkd', 'sp')


def config_of(method: str) -> Config:
    return Config.fromfile(FOLDER / f'{method}_{PAIR}.py')


def test_all_are_there() -> None:
    found = {path.stem for path in FOLDER.glob('*_imagenet.py')}
    assert found == {f'{method}_{PAIR}' for method in METHODS}


@pytest.mark.parametrize('method', METHODS)
def test_constants(method: str) -> None:
    config = config_of(method)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (0.1, 1e-4)
    assert config.param_scheduler.milestones == [30, 60, 90]
    assert config.train_cfg.max_epochs == 100
    assert config.auto_scale_lr.base_batch_size == 256
    loss = config.model.losses[method]
    task = config.model.student.head.loss.get('loss_weight', 1.0)
    assert task == (0.5 if method == 'kd' else 1.0)
    published = dict(
        kd=dict(temperature=1.0, loss_weight=0.5),
        dkd=dict(alpha=1.0, beta=0.5, temperature=1.0, warmup_epochs=1),
        crd=dict(num_samples=1281167, replacement=True, loss_weight=0.8),
    )
    for key, value in published.get(method, {}).items():
        assert loss[key] == value


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_one_step(method: str, tmp_path: Path) -> None:
    config = config_of(method)
    model = config.model
    model.data_preprocessor = config.data_preprocessor
    if method == 'crd':
        model.losses.crd.update(num_samples=8, num_negatives=3)
    model.teacher.checkpoint = str(tmp_path / 'teacher.pth')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        teacher = build_network(load_config(model.teacher.config).model)
        torch.save(teacher.state_dict(), model.teacher.checkpoint)
        distiller = MODELS.build(model)
        samples = [
            DataSample(metainfo=dict(sample_idx=k)).set_gt_label(k)
            for k in range(3)
        ]
        images = [torch.randint(256, (3, 64, 64)).byte() for _ in samples]
        data = dict(inputs=images, data_samples=samples)
        data = distiller.data_preprocessor(data, True)
        if method == 'crd':
            labels = torch.arange(8)
            distiller.losses['crd'].set_dataset_labels(labels, 'cpu')
        losses = distiller(**data, mode='loss')
        distiller.parse_losses(losses)[0].backward()
    assert all(value.isfinite().all() for value in losses.values())
    for name, parameter in distiller.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
