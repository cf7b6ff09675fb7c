"""Configs of PCL: recipe, sizes of the published code, a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmpretrain')

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'pcl'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
COHORTS = [name for name in NAMES if 'baseline' not in name]
# training network, one branch, ensemble classifier, trunk; 100 classes. The
# DenseNet of the re-implementation has no last batch norm: its classifier
# alone is compared, and the network with the one of MCL-OKD.
SIZES = dict(
    resnet32=(1212384, 360164, 19300, 112592),
    resnet110=(3038944, 895588, 76900, 275280),
    wrn_20_8=(17431008, 5241444, 76900, 1629776),
    vgg16=(30771664, 7659108, 153700, 7640640),
)


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def build(config: Config) -> Any:
    return MODELS.build(
        dict(config.model, data_preprocessor=config.data_preprocessor)
    )


def count(parameters: Any) -> int:
    return sum(p.numel() for p in parameters)


def one_step(config: Config, size: int) -> dict[str, Any]:
    config.model.input_shape = (3, size, size)
    model = build(config).train()
    images = [torch.randn(4, 3, size, size) for _ in range(3)]
    samples = [DataSample().set_gt_label(k % 2) for k in range(4)]
    losses = model(images, samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    left = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and p.grad is None
    ]
    assert left == []
    return losses


@pytest.mark.parametrize('name', COHORTS)
def test_constants(name: str) -> None:
    config = Config.fromfile(FOLDER / f'{name}.py')
    model = config.model
    assert len(model.cohort.peers) == 3
    assert model.peer_views == [0, 1, 2]
    assert model.deploy == dict(peer=0, weights='mean')
    assert model.followers.mean == dict(
        momentum=0.999, warmup=True, buffers='own'
    )
    assert model.exchange.temperature == 3
    if name.startswith('pcl_'):
        assert model.exchange.ramp_epochs == 80
        optimizer = config.optim_wrapper.optimizer
        imagenet = 'imagenet' in name
        assert (optimizer.lr, optimizer.nesterov) == (0.1, True)
        assert optimizer.weight_decay == (1e-4 if imagenet else 5e-4)
        batch = config.train_dataloader.batch_size
        assert batch == (256 if imagenet else 128)
        assert config.train_cfg.max_epochs == (90 if imagenet else 300)
        milestones = config.param_scheduler.milestones
        assert milestones == ([30, 60] if imagenet else [150, 225])
    if config.data_preprocessor.type == 'mmkd.BatchAugmentPreprocessor':
        assert config.data_preprocessor.num_views == 3
    assert config.custom_hooks[-1].type == 'mmkd.ExportStudentHook'


@pytest.mark.parametrize(
    'name',
    [
        'resnet32',
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in SIZES
            if name != 'resnet32'
        ),
    ],
)
def test_published_sizes(name: str) -> None:
    model = build(Config.fromfile(FOLDER / f'pcl_x3_{name}_cifar100.py'))
    first, second, _ = (
        {id(p): p for p in peer.parameters()} for peer in model.cohort.peers
    )
    trunk = count(p for key, p in first.items() if key in second)
    ensemble = count(model.exchanges.parameters())
    assert (
        count(model.cohort.parameters()) + ensemble,
        count(first.values()) - trunk,
        ensemble,
        trunk,
    ) == SIZES[name]


def test_densenet_has_the_published_size() -> None:
    config = Config.fromfile(
        FOLDER / 'pcl_baseline_densenet_40_12_cifar100.py'
    )
    assert count(build_network(config.model).parameters()) == 188092


def test_the_toy_takes_a_step() -> None:
    losses = one_step(Config.fromfile(FOLDER / 'toy_pcl.py'), 32)
    assert {'peer_ensemble.loss_task', 'peer2.loss_kd'} < losses.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [name for name in COHORTS if not name.startswith('toy')]
)
def test_all_take_a_step(name: str) -> None:
    config = Config.fromfile(FOLDER / f'{name}.py')
    losses = one_step(config, 64 if 'imagenet' in name else 32)
    assert all(torch.isfinite(value) for value in losses.values())
