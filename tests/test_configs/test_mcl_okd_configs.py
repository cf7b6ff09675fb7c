"""Constants, sizes and learning rates of MCL-OKD's configs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

pytest.importorskip('mmpretrain')

from mmkd.registry import MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'mcl_okd'
#: name in the golden file -> config, K
PUBLISHED = dict(
    densenetd40k12=('densenet_40_12_cifar100', 256),
    resnet32=('resnet32_cifar100', 256),
    resnet110=('resnet110_cifar100', 256),
    vgg16=('vgg16_cifar100', 16384),
    hcgnet_A1=('hcgnet_a1_cifar100', 16384),
    resnet34_imagenet=('resnet34_imagenet', 16384),
)
IMAGENET = 'resnet34_imagenet'


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def read(name):
    return Config.fromfile(FOLDER / f'mcl_okd_x4_{name}.py')


def count(modules):
    return sum(p.numel() for p in {*modules})


@pytest.mark.parametrize('network', PUBLISHED)
def test_constants(network):
    """The table of the paper's settings, line by line."""
    name, negatives = PUBLISHED[network]
    config = read(name)
    exchange = config.model.exchange
    contrast = exchange.contrast
    imagenet = network == IMAGENET
    assert len(config.model.cohort.peers) == 4
    assert config.model.deploy == -1
    assert exchange.temperature == 3
    assert (exchange.kd_weight, exchange.contrast_weight) == (1, 0.025)
    assert config.model.get('task_weight', 1) == 1
    assert config.model.aux_heads.embeds.embedding_dim == 128
    assert contrast.num_negatives == negatives
    assert contrast.momentum == 0.5
    assert contrast.temperature == (0.07 if imagenet else 0.1)
    assert contrast.num_samples == (1281167 if imagenet else 50000)
    assert contrast.get('replacement', False) == imagenet
    assert config.train_dataloader.batch_size == (128 if imagenet else 64)
    assert config.train_cfg.max_epochs == (100 if imagenet else 300)
    assert config.optim_wrapper.optimizer == dict(
        type='SGD',
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-4 if imagenet else 5e-4,
        nesterov=True,
    )
    if not imagenet:
        alone = read(f'contrast_{name}')
        assert alone.model.exchange.pop('kd_weight') == 0
        exchange.pop('kd_weight')
        assert alone.model == config.model


@pytest.mark.parametrize(
    'network',
    [
        pytest.param(name, marks=() if 'resnet' in name else pytest.mark.slow)
        for name in PUBLISHED
    ],
)
def test_sizes(network, golden):
    """Single network, private and shared part as counted by the authors."""
    model = read(PUBLISHED[network][0]).model
    model.exchange.contrast.num_samples = 50
    if network == IMAGENET:
        model.input_shape = (3, 64, 64)
    cohort = MODELS.build(model).cohort
    single, private, shared = golden('mcl_okd', 'parameter_counts')[network]
    first, second = (set(peer.parameters()) for peer in cohort.peers[:2])
    assert count(first) == single
    assert count(first & second) == shared
    assert count(second - first) == private
    assert count(cohort.parameters()) == shared + 4 * private


def rates(config):
    """Learning rate at the start of every epoch."""
    optimizer = torch.optim.SGD(
        [torch.nn.Parameter(torch.zeros(1))],
        lr=config.optim_wrapper.optimizer.lr,
    )
    scheduler = PARAM_SCHEDULERS.build(
        dict(**config.param_scheduler, optimizer=optimizer)
    )
    found = []
    for _ in range(config.train_cfg.max_epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return np.array(found)


@pytest.mark.parametrize('key', ['cifar', 'imagenet'])
def test_learning_rates(key, golden):
    case = golden('mcl_okd', 'learning_rate')
    name = IMAGENET if key == 'imagenet' else 'vgg16_cifar100'
    found = rates(read(name))[case[f'epoch_{key}']]
    np.testing.assert_allclose(found, case[f'lr_{key}'], rtol=1e-9)


def test_imagenet_starts_as_torchvision_does():
    config = read(IMAGENET)
    for peer in config.model.cohort.peers:
        assert peer.backbone.zero_init_residual is False
        assert peer.head.init_cfg is None
    for loader in (config.train_dataloader, config.val_dataloader):
        load, resize, *_ = loader.dataset.pipeline
        assert load.imdecode_backend == resize.backend == 'pillow'


def test_imagenet_network_alone_restarts():
    """As the authors' program: 100 epochs, then 200 from lr 0.1 again."""
    config = Config.fromfile(FOLDER / 'baseline_resnet34_imagenet.py')
    assert config.train_dataloader.batch_size == 256
    assert config.train_cfg.max_epochs == 300
    found = rates(config)
    epoch = np.arange(300)
    period = np.where(epoch < 100, 100, 200)
    position = np.where(epoch < 100, epoch, epoch - 100) / period
    expected = 0.05 * (1 + np.cos(np.pi * position))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_densenet_starts_from_fan_in():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(
            Config.fromfile(
                ROOT
                / 'configs/dml/dml_baseline_densenet_40_12_cosine_cifar100.py'
            ).model
        )
    network.init_weights()
    conv = network.backbone.layer3[0].conv1
    expected = (2 / conv.in_channels) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.06)
    head = network.head.fc
    assert not head.bias.any()
    assert head.weight.abs().max() <= head.in_features**-0.5
