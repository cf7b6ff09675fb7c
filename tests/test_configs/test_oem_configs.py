"""Configs of OEM: both recipes, structures, a step of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmpretrain')

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'oem'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
COHORTS = [name for name in NAMES if 'baseline' not in name]
PUBLISHED = [name for name in COHORTS if name.startswith('oem_x5')]
CLASSES = dict(cifar10=10, cifar100=100, svhn=10, imagenet=1000)


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


def build(config: Config) -> Any:
    return MODELS.build(
        dict(config.model, data_preprocessor=config.data_preprocessor)
    )


def one_step(config: Config, size: int) -> dict[str, Any]:
    config.model.input_shape = (3, size, size)
    model = build(config).train()
    samples = [DataSample().set_gt_label(k % 2) for k in range(4)]
    losses = model(torch.randn(4, 3, size, size), samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    left = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and p.grad is None
    ]
    assert left == []
    return losses


def test_every_published_row_has_a_config() -> None:
    paper = [name for name in PUBLISHED if name.endswith('_paper')]
    assert len(paper) == 9 + 9 + 9 + 6
    assert len(PUBLISHED) - len(paper) == 5 + 8 + 3
    for name in PUBLISHED:
        assert name.replace('oem_x5', 'oem_baseline') in NAMES


@pytest.mark.parametrize(
    'name',
    [
        name
        if name.endswith('cifar100_paper')
        else pytest.param(name, marks=pytest.mark.slow)
        for name in PUBLISHED
    ],
)
def test_constants(name: str) -> None:
    config = config_of(name)
    *_, data, recipe = name.split('_')
    model = config.model
    assert model.cohort.num_students == 5
    assert model.cohort.peer.head.num_classes == CLASSES[data]
    assert config.data_preprocessor.num_classes == CLASSES[data]
    assert model.deploy == 'all'
    assert config.optim_wrapper.paramwise_cfg == dict(
        custom_keys=dict(adapters=dict(lr_mult=0.5)), bypass_duplicate=True
    )
    if recipe == 'code':
        return
    epochs = dict(cifar10=350, cifar100=450, svhn=50, imagenet=100)[data]
    assert config.train_cfg.max_epochs == config.max_epochs == epochs
    exchange = model.exchange
    weights = (model.task_weight, exchange.feature_weight, exchange.kd_weight)
    assert (exchange.temperature, *weights) == (2, 0.7, 0.15, 0.15)
    optimizer, scheduler = (
        config.optim_wrapper.optimizer,
        config.param_scheduler,
    )
    if 'efficientnet' in name:
        assert (optimizer.type, optimizer.lr) == ('RMSprop', 0.256)
        assert (optimizer.alpha, optimizer.momentum) == (0.9, 0.9)
        assert (scheduler.step_size, scheduler.gamma) == (3, 0.97)
    else:
        assert (optimizer.lr, optimizer.nesterov) == (0.1, True)
        half, quarter = epochs // 2, 3 * epochs // 4
        assert scheduler.milestones == [half, quarter]


@pytest.mark.parametrize(
    ('network', 'optimizer', 'rate', 'batch', 'epochs', 'drops', 'weights'),
    [
        ('resnet56_cifar100', 'Adam', 1e-3, 128, 350, [200, 300], (2, 0.7)),
        (
            *('resnet20_cifar100', 'Adam', 1e-3, 64, 400),
            *([100, 180, 240, 350], (3, 0.4)),
        ),
        (
            *('resnet20_cifar10', 'SGD', 0.01, 128, 400),
            *([100, 180, 250, 350], (3, 0.4)),
        ),
        ('resnet110_cifar10', 'SGD', 1e-3, 128, 250, [100, 150], (3, 1.0)),
        ('densenet_250_24_cifar10', 'SGD', 0.1, 32, 350, [150, 250], (3, 1)),
        (
            *('wrn_50_2_cifar10', 'SGD', 0.1, 128, 400),
            *([70, 150, 210, 270], (3, 0.4)),
        ),
        ('efficientnet_b0_imagenet', 'Adam', 1e-3, 128, 100, [50, 70, 90], 3),
        ('efficientnet_b6_imagenet', 'Adam', 1e-3, 256, 100, [50, 70, 90], 3),
    ],
)
def test_recipe_of_the_code(
    network: str,
    optimizer: str,
    rate: float,
    batch: int,
    epochs: int,
    drops: list[int],
    weights: Any,
) -> None:
    config = config_of(f'oem_x5_{network}_code')
    given = config.optim_wrapper.optimizer
    assert (given.type, given.lr) == (optimizer, rate)
    assert config.train_dataloader.batch_size == batch
    assert config.train_cfg.max_epochs == epochs
    assert config.param_scheduler.milestones == drops
    temperature = config.model.exchange.temperature
    if isinstance(weights, tuple):
        assert (temperature, config.model.task_weight) == weights
    else:
        assert temperature == weights
    if 'cifar100' in network:
        assert config.data_preprocessor.std == [255] * 3
        assert config.model.cohort.peer.backbone.init_cfg.type == 'Xavier'


def test_the_toy_takes_a_step() -> None:
    losses = one_step(config_of('toy_oem'), 32)
    assert {'peer0.loss_kd', 'peer2.loss_feature'} < losses.keys()
    assert 'peer0.loss_feature' not in losses


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in COHORTS if 'toy' not in n])
def test_all_take_a_step(name: str) -> None:
    config = config_of(name)
    small = config.model.get('input_shape')[-1] == 32
    losses = one_step(config, 32 if small else 64)
    features = [key for key in losses if 'feature' in key]
    assert features == [f'peer{k}.loss_feature' for k in range(1, 5)]
    assert all(torch.isfinite(value) for value in losses.values())
