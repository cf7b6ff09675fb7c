"""Configs of L-MCL: constants, sizes, a training step of the toy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network, network_dict  # noqa: E402
from mmkd.registry import HOOKS, MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
NAMES = sorted(p.stem for p in (ROOT / 'configs' / 'lmcl').glob('*.py'))
COHORTS = [name for name in NAMES if 'baseline' not in name]
BASELINES = [name for name in NAMES if 'baseline' in name]
# backbone with its classifier, refinement with its classifiers
SIZES = dict(
    resnet32=(472756, 809096),
    resnet56=(861620, 1475208),
    resnet110=(1170868, 2011080),
    wrn_16_2=(703284, 1208200),
    wrn_40_2=(2255156, 3867528),
    wrn_28_4=(5872180, 10089032),
    shufflenet_v2_05x=(444292, 827768),
    shufflenet_v2_1x=(1356104, 2406252),
    hcgnet_a1=(1102651, 1478429),
    hcgnet_a2=(3133679, 4114546),
)
IMAGENET_SIZES = dict(
    resnet18=(11689512, 14626488),
    resnet34=(21797672, 14626488),
    resnet50=(25557032, 27669944),
    shufflenet_v2=(2278604, 6119796),
)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name):
    return Config.fromfile(ROOT / 'configs' / 'lmcl' / f'{name}.py')


def build(config):
    """Build the distiller; banks of few samples, small images."""
    model = config.model
    if 'num_samples' in model.exchange.loss:
        model.exchange.loss.num_samples = 500
        model.input_shape = (3, 64, 64)
    return MODELS.build(
        dict(**model, data_preprocessor=config.data_preprocessor)
    )


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def networks_of(name, sizes):
    """The networks in the name of a published config, in order."""
    stem, _, data = name.removeprefix('lmcl_').rpartition('_')
    if stem.startswith('x2_'):
        return [stem.removeprefix('x2_')] * 2
    for first in sizes:
        second = stem.removeprefix(f'{first}_')
        if stem.startswith(f'{first}_') and second in sizes:
            return [first, second]
    raise AssertionError(f'{name}, {data}')


def step_of(config):
    """One training step and its meta step, whose value is returned."""
    distiller = build(config).train()
    exchange = distiller.exchanges[0]
    size = 64 if hasattr(exchange, 'set_dataset_labels') else 32
    if hasattr(exchange, 'set_dataset_labels'):
        exchange.num_negatives = 16
        exchange.set_dataset_labels(
            torch.arange(500) // 2 % 3, torch.device('cpu')
        )
    samples = [
        DataSample(metainfo=dict(sample_idx=k)).set_gt_label(k // 2)
        for k in range(6)
    ]
    images = torch.randn(6, 3, size, size)
    losses = distiller(images, samples, mode='loss')
    total, _ = distiller.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    for name, parameter in distiller.named_parameters():
        trained = '.matching.' not in name
        assert (parameter.grad is not None) == trained, name
    (hook,) = [
        HOOKS.build(dict(h))
        for h in config.custom_hooks
        if h['type'] == 'mmkd.MetaOptimizationHook'
    ]
    hook.attach(distiller, lr=0.01)
    batch = dict(inputs=images, data_samples=samples)
    groups = [dict(params=distiller.parameters(), lr=0.01, weight_decay=5e-4)]
    return hook.step(distiller, batch, groups)


def test_a_step_and_a_meta_step_of_the_toy():
    assert 0 < step_of(config_of('toy_lmcl_x2')) < float('inf')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [name for name in COHORTS if 'toy' not in name]
)
def test_a_step_and_a_meta_step(name):
    assert 0 < step_of(config_of(name)) < float('inf')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [n for n in COHORTS if not n.startswith(('toy', 'cpu'))]
)
def test_published_sizes_and_constants(name):
    config = config_of(name)
    imagenet = name.endswith('_imagenet')
    sizes = IMAGENET_SIZES if imagenet else SIZES
    distiller = build(config)
    names = networks_of(name, sizes)
    for peer, heads, network in zip(
        distiller.cohort.peers, distiller.aux_heads, names, strict=True
    ):
        refined = count(heads['refined'], heads['stage_logits'])
        assert (count(peer), refined) == sizes[network]
    loss = config.model.exchange.loss
    weights = (
        loss.vcl_weight,
        loss.soft_vcl_weight,
        loss.icl_weight,
        loss.soft_icl_weight,
    )
    hard = 0.01 if imagenet else 0.1
    assert weights == (hard, 1.0, hard, 1.0)
    assert loss.temperature == (0.07 if imagenet else 0.1)
    assert loss.kd_temperature == 3.0
    (hook,) = [h for h in config.custom_hooks if 'MetaOpt' in h['type']]
    assert hook['interval'] == (500 if imagenet else 50)
    assert hook['num_inner_steps'] == 2
    optimizer = config.optim_wrapper.optimizer
    decay = 1e-4 if imagenet else 5e-4
    assert optimizer == dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=decay, nesterov=True
    )
    epochs = 100 if imagenet else 300
    assert config.train_cfg.max_epochs == epochs
    if imagenet:
        assert config.param_scheduler.milestones == [30, 60, 90]
        assert config.train_dataloader.batch_size == 256
    else:
        assert config.param_scheduler.T_max == 300
        sampler = config.train_dataloader.sampler
        assert (sampler.batch_size, sampler.samples_per_class) == (128, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [n for n in BASELINES if n.startswith('baseline')]
)
def test_baselines(name):
    config = config_of(name)
    imagenet = name.endswith('_imagenet')
    sizes = IMAGENET_SIZES if imagenet else SIZES
    network = name.removeprefix('baseline_').rpartition('_')[0]
    built = build_network(network_dict(config.model))
    assert count(built) == sizes[network][0]
    assert config.train_dataloader.sampler.type == 'DefaultSampler'
    optimizer = config.optim_wrapper.optimizer
    assert optimizer.get('nesterov', False) != imagenet
    if imagenet and 'resnet' in network:
        assert config.model.backbone.zero_init_residual is False
    if imagenet:
        assert config.model['head'].init_cfg is None
        pipeline = config.train_dataloader.dataset.pipeline
        assert pipeline[1].backend == 'pillow'
