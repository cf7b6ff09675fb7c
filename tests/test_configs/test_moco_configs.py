"""Configs of momentum contrast: constants, sizes, steps, linear evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from mmkd.registry import MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'mcl_moco'
NAMES = [
    path.stem
    for path in sorted(FOLDER.glob('*.py'))
    if 'linear' not in path.stem
]
PUBLISHED = [name for name in NAMES if name.endswith('imagenet')]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name):
    return Config.fromfile(FOLDER / f'{name}.py')


def build(config):
    return MODELS.build(
        dict(**config.model, data_preprocessor=config.data_preprocessor)
    )


def loss_of(model):
    if 'losses' in model:
        return model.losses.moco
    return model.exchange.loss


@pytest.mark.parametrize('name', NAMES)
def test_common_settings(name):
    config = config_of(name)
    model = config.model
    cohort = 'x2' in name
    kind = 'OnlineDistiller' if cohort else 'OfflineDistiller'
    assert model.type == f'mmkd.{kind}'
    key = model.followers.key if cohort else model.teacher
    assert (key.buffers, key.view, key.shuffle) == ('own', 1, True)
    assert loss_of(model).num_peers == (2 if cohort else 1)
    assert config.train_dataloader.drop_last
    assert config.get('val_dataloader') is None
    assert config.default_hooks.checkpoint.save_best is None
    assert config.custom_hooks[-1].type == 'mmkd.ExportStudentHook'
    networks = model.cohort.peers if cohort else [model.student]
    for network in networks:
        assert 'head' not in network
        group = network.backbone.norm_cfg.group_size
        assert config.train_dataloader.batch_size % group == 0


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_constants(name):
    config = config_of(name)
    second = 'v2' in name
    loss, model = loss_of(config.model), config.model
    assert (loss.queue_size, loss.feat_dim) == (65536, 128)
    assert loss.temperature == (0.2 if second else 0.07)
    key = model.followers.key if 'x2' in name else model.teacher
    assert key.momentum == 0.999
    if 'x2' in name:
        assert loss.kd_temperature == 3
        weights = ('vcl', 'soft_vcl', 'icl', 'soft_icl')
        assert {loss[f'{term}_weight'] for term in weights} == {1}
    head = model.aux_heads.embeds
    assert head.num_layers == (2 if second else 1)
    assert head.get('hidden_channels') == (512 if second else None)
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4
    )
    assert config.train_cfg.max_epochs == 200
    assert config.train_dataloader.batch_size == 32  # of 8
    expected = 0.03 * np.array([1.0, 0.1, 0.01])
    found = rates(config, 200)[[0, 130, 170]]
    if second:
        expected = 0.015 * (1 + np.cos(np.pi * np.array([0, 130, 170]) / 200))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def rates(config, epochs):
    """Learning rate at the start of every epoch."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=config.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(
        dict(**config.param_scheduler, optimizer=optimizer)
    )
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_published_configs_train_one_step(name):
    config = config_of(name)
    config.model.input_shape = (3, 64, 64)
    model = build(config).train()
    encoder = model.trained[0]
    assert sum(p.numel() for p in encoder.parameters()) == 11176512
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.03))
    views = [torch.rand(32, 3, 64, 64) for _ in range(2)]
    logs = model.train_step(dict(inputs=views), optimizer)
    assert all(value.isfinite() for value in logs.values())
    (queue,) = (v for k, v in model.named_buffers() if k.endswith('.queue'))
    assert queue.shape == (len(model.trained), 128, 65536)


@pytest.mark.parametrize('name', ['toy_moco', 'toy_mcl_moco_x2'])
def test_a_toy_runs(tmp_path, name):
    config = config_of(name)
    config.work_dir = str(tmp_path)
    config.train_dataloader.dataset.num_samples = 96
    config.train_cfg.max_epochs = 1
    config.default_hooks.logger.interval = 1
    config.experiment_name = f'test_{name}'
    runner = Runner.from_cfg(config)
    runner.train()
    found = runner.message_hub.log_scalars
    values = found['train/loss_vcl'].data[0]
    assert len(values) == 3 and np.isfinite(values).all()
    state = torch.load(tmp_path / 'student.pth')['state_dict']
    assert all(key.startswith('backbone.') for key in state)


def test_views_of_imagenet_are_those_of_the_versions():
    one, two = (
        config_of(name).train_dataloader.dataset.pipeline[1].transforms[0]
        for name in ('moco_resnet18_imagenet', 'moco_v2_resnet18_imagenet')
    )
    jitter = next(step for step in one if 'ColorJitter' in step.type)
    assert jitter.hue == 0.4
    maybe = next(step for step in two if step.type == 'RandomApply')
    assert (maybe.prob, maybe.transforms[0].hue) == (0.8, 0.1)
    assert any(step.type == 'GaussianBlur' for step in two)
    assert all(step.type != 'GaussianBlur' for step in one)


@pytest.mark.parametrize(
    'name', ['linear_resnet18_imagenet', 'cpu_linear_resnet18_imagenette']
)
def test_linear_evaluation_trains_the_classifier_alone(name, tmp_path):
    config = config_of(name)
    assert config.optim_wrapper.optimizer.lr == 30
    assert config.param_scheduler.milestones == [60, 80]
    start = config.model.backbone.init_cfg
    assert start.prefix == 'backbone.'
    encoder = config_of(
        'toy_moco' if 'cpu' in name else 'moco_resnet18_imagenet'
    ).model.student
    pretrained = MODELS.build(dict(encoder))
    torch.save(
        dict(state_dict=pretrained.state_dict()), tmp_path / 'student.pth'
    )
    start.checkpoint = str(tmp_path / 'student.pth')
    network = MODELS.build(dict(config.model))
    network.init_weights()
    network.train()
    for key, value in pretrained.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    assert not network.backbone.bn1.training
    trained = [k for k, p in network.named_parameters() if p.requires_grad]
    assert trained == ['head.fc.weight', 'head.fc.bias']
