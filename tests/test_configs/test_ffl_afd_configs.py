"""Configs of FFL and AFD: constants, sizes, schedules, training steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from mmkd.networks import build_network, network_dict  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.toys import toy_batch  # noqa: E402

ROOT = Path(__file__).parents[2]
NAMES = [
    f'{folder}/{path.stem}'
    for folder in ('ffl', 'afd')
    for path in sorted((ROOT / 'configs' / folder).glob('*.py'))
]
CLS = [n for n in NAMES if 'camvid' not in n and 'pose' not in n]
COHORTS = [n for n in CLS if 'baseline' not in n]
BASELINES = [n for n in CLS if 'baseline' in n]
AFD = [n for n in COHORTS if n.startswith('afd/') and 'logits' not in n]
PHASES = ['main', 'discriminator', 'adversarial']


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / f'{name}.py')


def build(name: str) -> Any:
    config = config_of(name)
    if 'imagenet' in name:
        config.model.input_shape = (3, 64, 64)
    return MODELS.build(
        dict(**config.model, data_preprocessor=config.data_preprocessor)
    )


def count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def rates(optimizer: Any, scheduler: Any, epochs: int) -> np.ndarray:
    """Learning rate at the start of every epoch."""
    weight = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([weight], lr=optimizer.lr)
    steps = PARAM_SCHEDULERS.build(dict(**scheduler, optimizer=sgd))
    found = []
    for _ in range(epochs):
        found.append(sgd.param_groups[0]['lr'])
        sgd.step()
        steps.step()
    return np.array(found)


def test_common_settings() -> None:
    assert len(COHORTS) > 18
    for name in CLS:
        config = config_of(name)
        assert config.default_scope == 'mmpretrain', name
        assert config.randomness.seed is not None, name
        assert config.train_cfg.max_epochs == config.max_epochs, name
        if name in BASELINES:
            assert config.model.type == 'ImageClassifier', name
            continue
        assert config.model.type == 'mmkd.OnlineDistiller', name
        assert config.val_evaluator.type == 'mmkd.PeerMetric', name
        assert config.custom_hooks[-1].type == 'mmkd.ExportStudentHook', name
        for peer in config.model.cohort.peers:
            head = network_dict(peer).head
            assert head.num_classes == config.data_preprocessor.num_classes


@pytest.mark.parametrize('name', ['resnet32', 'resnet56'])
def test_ffl_has_the_published_sizes(golden: Any, name: str) -> None:
    sizes = golden('ffl', 'parameter_counts')
    single, two, private, shared = sizes[name]
    (head,) = sizes['fusion_64_100']
    model = build(f'ffl/ffl_x2_{name}_own_cifar100')
    assert count(model.exchanges[0].fusion) == head
    assert count(model.cohort) == two == shared + 2 * private
    assert [count(peer) for peer in model.cohort.peers] == [single] * 2
    alone = config_of(f'ffl/ffl_baseline_{name}_own_cifar100').model
    assert count(build_network(alone)) == single


@pytest.mark.parametrize(
    ('name', 'decay', 'peers'),
    [
        ('ffl/ffl_x2_resnet110_own_cifar100', 1e-4, 2),
        ('ffl/ffl_x2_resnet32_own_cifar10', 1e-4, 2),
        ('ffl/ffl_x3_resnet32_cifar100', 5e-4, 3),
    ],
)
def test_ffl_constants(name: str, decay: float, peers: int) -> None:
    config = config_of(name)
    exchange = config.model.exchange
    assert (exchange.temperature, exchange.ramp_epochs) == (3, 80)
    assert exchange.target_epsilon == 1e-7
    assert len(config.model.cohort.peers) == peers
    assert config.model.cohort.shared == ['stem', 'stage1', 'stage2']
    optimizer = config.optim_wrapper.optimizer
    assert optimizer == dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=decay, nesterov=True
    )
    found = rates(optimizer, config.param_scheduler, config.max_epochs)
    expected = [0.1 * 0.1 ** ((e >= 150) + (e >= 225)) for e in range(300)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    own = '_own_' in name
    preprocessor = config.data_preprocessor
    mode = preprocessor.get('padding_mode', 'constant')
    assert mode == ('reflect' if own else 'constant')
    assert (preprocessor['mean'][0] == 129.3) == own
    keys = config.optim_wrapper.paramwise_cfg.custom_keys
    assert keys == {'exchanges.0.fusion': dict(decay_mult=0.1)}


def test_ffl_decay_of_the_fusion_head() -> None:
    name = 'ffl/toy_ffl'  # its schedule has 5e-4
    model = build(name)
    wrapper = build_optim_wrapper(model, config_of(name).optim_wrapper)
    decays = {
        id(p): group['weight_decay']
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    fusion = {id(p) for p in model.exchanges[0].fusion.parameters()}
    assert set(decays) == {id(p) for p in model.parameters()}
    for key, decay in decays.items():
        assert decay == pytest.approx(5e-5 if key in fusion else 5e-4)


@pytest.mark.parametrize('name', AFD)
def test_afd_phases(name: str) -> None:
    config = config_of(name)
    assert sorted(config.optim_wrapper) == sorted([*PHASES, 'constructor'])
    assert sorted(config.param_scheduler) == sorted(PHASES)
    sgd = config.optim_wrapper.main.optimizer
    assert (sgd.type, sgd.lr, sgd.nesterov) == ('SGD', 0.1, True)
    for phase in PHASES[1:]:
        adam = config.optim_wrapper[phase].optimizer
        assert adam == dict(type='Adam', lr=2e-5, weight_decay=0.1)
    exchange = config.model.exchange
    assert (exchange.topology, exchange.temperature) == ('cycle', 3)
    if 'cifar100' in name and 'cpu' not in name:
        assert (config.max_epochs, sgd.weight_decay) == (300, 1e-4)
        for phase, drops in zip(
            PHASES, ((150, 225), (75, 150), (75, 150)), strict=True
        ):
            optimizer = config.optim_wrapper[phase].optimizer
            found = rates(optimizer, config.param_scheduler[phase], 300)
            steps = [sum(e >= d for d in drops) for e in range(300)]
            expected = [optimizer.lr * 0.1**k for k in steps]
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_afd_readings_of_the_discriminator() -> None:
    usual = build('afd/afd_x2_resnet32_cifar100').exchanges[0]
    other = build('afd/afd_single_score_x2_resnet32_cifar100').exchanges[0]
    assert count(usual.discriminator[0]) == 64 * 64 * 9 + 128 + 64 * 9 + 1
    assert count(other.discriminator[1]) == 64 * 32 * 4 + 96 + 32 * 4 + 1
    ring = build('afd/afd_x3_resnet32_cifar100').exchanges[0]
    assert ring.sources == [[2], [0], [1]]
    assert len(ring.discriminator) == 3


def train_one_step(name: str) -> dict[str, Any]:
    model = build(name).train()
    wrapper = build_optim_wrapper(model, config_of(name).optim_wrapper)
    phased = isinstance(wrapper, OptimWrapperDict)
    assert phased == (name in AFD)
    size = 96 if 'imagenet' in name else 32
    before = [p.clone() for p in model.parameters()]
    logs = model.train_step(
        toy_batch('classification', 4, (size, size)), wrapper
    )
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)
    return logs


@pytest.mark.parametrize('name', ['ffl/toy_ffl', 'afd/toy_afd'])
def test_toys_train_one_step(name: str) -> None:
    logs = train_one_step(name)
    for k in (0, 1):
        assert logs[f'peer{k}.loss_kd'] > 0
    extra = 'fused.loss_task' if 'ffl' in name else 'peer1.loss_adversarial'
    assert logs[extra] > 0


@pytest.mark.slow
@pytest.mark.parametrize('name', ['ffl/toy_ffl', 'afd/toy_afd'])
def test_toys_run_validate_and_export(tmp_path: Path, name: str) -> None:
    config = config_of(name)
    config.work_dir = str(tmp_path)
    config.train_dataloader.dataset.num_samples = 140
    config.val_dataloader.dataset.num_samples = 20
    config.train_cfg.max_epochs = 1
    config.default_hooks.logger.interval = 1
    config.experiment_name = f'test_{name.split("/")[1]}'
    runner = Runner.from_cfg(config)
    runner.train()
    metrics = runner.message_hub.log_scalars
    more = ['fused'] if 'ffl' in name else []
    for key in ('peer0', 'peer1', 'ensemble', *more):
        assert f'val/{key}/accuracy/top1' in metrics
    network = build_network(network_dict(config.model.cohort.peers[0])).eval()
    plain = torch.load(tmp_path / 'student.pth', weights_only=True)
    network.load_state_dict(plain['state_dict'], strict=True)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = runner.model.cohort[0].eval()(images, mode='tensor')
        assert torch.equal(network(images, mode='tensor')[0], wanted[0])


@pytest.mark.slow
@pytest.mark.parametrize('name', COHORTS)
def test_every_cohort_trains_one_step(name: str) -> None:
    assert train_one_step(name)['loss'] > 0


@pytest.mark.parametrize(
    ('name', 'scope', 'task', 'size'),
    [
        ('ffl/cpu_ffl_x2_camvid', 'mmseg', 'segmentation', 64),
        ('ffl/toy_ffl_pose', 'mmpose', 'pose', 64),
    ],
)
def test_our_extensions_train_one_step(
    name: str, scope: str, task: str, size: int
) -> None:
    pytest.importorskip(scope)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(config_of(name).model).train()
        wrapper = build_optim_wrapper(model, config_of(name).optim_wrapper)
        logs = model.train_step(toy_batch(task, 2, (size, size)), wrapper)
    assert model.exchanges[0].fusion.dense
    for key in ('fused.loss_task', 'fused.loss_kd', 'peer1.loss_kd'):
        assert logs[key] > 0
