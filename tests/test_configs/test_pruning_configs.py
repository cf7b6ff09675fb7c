"""Configs of soft filter pruning: what is pruned, how, and by which recipe."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')

from mmkd.networks import build_network  # noqa: E402
from mmkd.pruning import find_targets, num_pruned, zero_counts  # noqa: E402
from mmkd.registry import HOOKS, MODELS  # noqa: E402
from mmkd.toys import toy_dataset  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'soft_filter_pruning'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
METHODS = ('sfp', 'asfp', 'srfp', 'asrfp', 'ghfp')
PUBLISHED = re.compile(
    r'([a-z]+)_(resnet\d+)_p(\d+)(_pretrained)?_(cifar10|cifar100|imagenet)'
)
RATES = dict(
    resnet20=(10, 20, 30),
    resnet32=(10, 20, 30),
    resnet56=(10, 20, 30, 40),
    resnet110=(10, 20, 30),
)
# index of the last target in the list of all parameters, every third of
# which is a convolution, and those that are left out: SFP's code
LAYERS: dict[str, tuple[int, tuple[int, ...]]] = dict(
    resnet20=(54, ()),
    resnet32=(90, ()),
    resnet56=(162, ()),
    resnet110=(324, ()),
    resnet18=(57, (21, 36, 51)),
    resnet34=(105, (27, 54, 93)),
    resnet50=(156, (12, 42, 81, 138)),
    resnet101=(309, (12, 42, 81, 291)),
)
IMAGENET = ('resnet18', 'resnet34', 'resnet50', 'resnet101')


@cache
def _read(name: str) -> Any:
    return Config.fromfile(FOLDER / f'{name}.py')


def config_of(name: str) -> Any:
    return copy.deepcopy(_read(name))


def data_of(network: str) -> tuple[str, ...]:
    return ('imagenet',) if network in IMAGENET else ('cifar10', 'cifar100')


def published() -> set[str]:
    """Names of all rows."""
    names = set()
    for data in ('cifar10', 'cifar100'):
        names |= {f'{n}_p{p}_{data}' for n, ps in RATES.items() for p in ps}
        names |= {
            f'{n}_pretrained_{data}' for n in ('resnet56_p40', 'resnet110_p30')
        }
    for network in (*(f'{n}_p30' for n in IMAGENET), 'resnet34_p40'):
        names |= {f'{network}_imagenet', f'{network}_pretrained_imagenet'}
    return {f'{method}_{name}' for method in METHODS for name in names}


def test_every_published_row_has_a_config() -> None:
    cpu = {
        f'cpu_{method}_resnet20_p{rate}_cifar100'
        for method in (*METHODS, 'weight')
        for rate in (10, 20, 30, 40)
    }
    cpu.add('cpu_dml_asrfp_resnet20_p30_cifar100')
    cpu.add('cpu_asrfp_coupled_resnet20_p30_cifar100')
    cpu |= {f'cpu_{m}_weights_only_resnet20_p30_cifar100' for m in METHODS}
    cpu |= {f'cpu_baseline_{n}resnet20_cifar100' for n in ('', 'longer_')}
    alone = {f'baseline_{n}_{d}' for n in LAYERS for d in data_of(n)}
    assert set(NAMES) == published() | cpu | alone


def check_published(name: str) -> None:
    method, network, rate, trained, data = PUBLISHED.fullmatch(name).groups()
    config, alone = config_of(name), config_of(f'baseline_{network}_{data}')
    given = config.default_hooks.pruning
    hook = HOOKS.build(dict(given))
    assert given.method == method
    assert hook.settings.choice.pruning_rate == int(rate) / 100
    assert (
        hook.settings.choice.granularity == 'filter'
        and hook.recalibrate_bn == 0
    )
    assert hook.mask_before_train == (method == 'sfp')
    schedule, T = hook.settings.schedule, config.train_cfg.max_epochs
    assert (schedule.rate == 'constant') == (method in ('sfp', 'srfp'))
    assert (schedule.decay is not None) == ('srfp' in method)
    assert (schedule.hard_ratio == 'cubic') == (method == 'ghfp')
    grown, faded = (0.9, 0.8) if data == 'imagenet' else (0.95, 0.9)
    first = [t for t in range(T) if schedule.rate_at(t, T, 0.4) == 0.4][0]
    assert first == (0 if schedule.rate == 'constant' else round(grown * T))
    first = [t for t in range(T) if schedule.alpha_at(t, T) == 0][0]
    assert first == (0 if schedule.decay is None else round(faded * T))
    assert config.default_hooks.checkpoint.save_best == 'pruned/accuracy/top1'
    optimizer = dict(config.optim_wrapper.optimizer)
    if trained:
        assert optimizer.pop('lr') == 0.01
        optimizer['lr'] = 0.1
    if trained and data == 'imagenet':
        model = copy.deepcopy(config.model)
        weights = dict(
            type='Pretrained', checkpoint=f'torchvision://{network}'
        )
        assert model.backbone.pop('init_cfg') == weights
        assert model.head.init_cfg == weights
        model.head.init_cfg = None
        assert model == alone.model
    else:
        assert config.model == alone.model
        assert bool(config.get('load_from')) == bool(trained)
        assert not trained or network in config.load_from
    assert optimizer == alone.optim_wrapper.optimizer


@pytest.mark.parametrize(
    'name',
    [
        *(f'{method}_resnet20_p10_cifar10' for method in METHODS),
        *(f'{method}_resnet34_p40_pretrained_imagenet' for method in METHODS),
        'ghfp_resnet56_p40_pretrained_cifar100',
    ],
)
def test_methods(name: str) -> None:
    check_published(name)


@pytest.mark.slow
def test_all_published_rows() -> None:
    for name in sorted(published()):
        check_published(name)


@pytest.mark.parametrize(
    ('name', 'milestones', 'gamma', 'epochs', 'decay'),
    [
        ('baseline_resnet56_cifar10', [60, 120, 160], 0.2, 200, 5e-4),
        ('srfp_resnet56_p40_cifar10', [60, 120, 160], 0.2, 200, 5e-4),
        ('baseline_resnet50_imagenet', [30, 60, 90], 0.1, 100, 1e-4),
    ],
)
def test_recipes(name, milestones, gamma, epochs, decay) -> None:
    config = config_of(name)
    batch = 256 if 'imagenet' in name else 128
    assert config.train_dataloader.batch_size == batch
    assert config.train_cfg.max_epochs == epochs
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=decay
    )
    steps = config.param_scheduler
    steps = list(steps) if isinstance(steps, list) else [steps]
    if name == 'baseline_resnet56_cifar10':  # the first epoch is slow
        assert steps.pop(0) == dict(
            type='ConstantLR', factor=0.1, begin=0, end=1, by_epoch=True
        )
    assert steps == [
        dict(
            type='MultiStepLR',
            milestones=milestones,
            gamma=gamma,
            by_epoch=True,
        )
    ]


@pytest.mark.parametrize('network', LAYERS)
def test_layers_and_filters_are_the_published_ones(network, golden) -> None:
    data = data_of(network)[0]
    model = build_network(config_of(f'baseline_{network}_{data}').model)
    targets = find_targets(model, 0.3)
    index = {id(p): k for k, p in enumerate(model.backbone.parameters())}
    last, skipped = LAYERS[network]
    expected = [k for k in range(0, last + 1, 3) if k not in skipped]
    assert sorted(index[id(t.weight)] for t in targets) == expected
    counts = golden('softer_filter_pruning', 'sfp_pruned_counts')
    for rate in (0.1, 0.2, 0.3, 0.4):
        column = np.isclose(counts['keep_rates'], 1 - rate).argmax()
        for target in targets:
            size = len(target.weight)
            row = list(counts['num_filters']).index(size)
            wanted = counts['n_pruned_public_code'][row, column]
            assert num_pruned(size, rate) == wanted


@pytest.mark.parametrize(
    'name', [n for n in NAMES if n.startswith('cpu_') and 'base' not in n]
)
def test_hook_does_what_the_name_says(name: str) -> None:
    config = config_of(name)
    method, rate = re.fullmatch(
        r'cpu_(\w+?)_resnet20_p(\d+)_.*', name
    ).groups()
    given = config.default_hooks.pruning
    hook = HOOKS.build(dict(given))
    assert hook.settings.choice.pruning_rate == int(rate) / 100
    granularity = 'weight' if method == 'weight' else 'filter'
    assert hook.settings.choice.granularity == granularity
    assert hook.settings.choice.coupled == method.endswith('_coupled')
    weights_only = method == 'weight' or method.endswith('_weights_only')
    assert given.mask_bn == (not weights_only)
    method = method.removesuffix('_weights_only')
    stems = dict(weight='sfp', dml_asrfp='asrfp', asrfp_coupled='asrfp')
    assert given['method'] == stems.get(method, method)
    assert not hook.mask_before_train and hook.recalibrate_bn == 0
    assert config.default_hooks.checkpoint.save_best == 'pruned/accuracy/top1'
    T_max = config.param_scheduler.T_max
    if method == 'dml_asrfp':  # from scratch
        assert config.train_cfg.max_epochs == T_max == 10
    else:
        start = 'cpu_baseline_resnet20_cifar100/epoch_10.pth'
        assert config.load_from.endswith(start)
        assert config.train_cfg.max_iters == T_max == 400
        assert not hook.by_epoch and hook.interval == 40


@pytest.mark.parametrize(
    ('name', 'peers'),
    [
        ('cpu_asrfp_resnet20_p30_cifar100', 1),
        ('cpu_dml_asrfp_resnet20_p30_cifar100', 2),
    ],
)
def test_every_convolution_is_pruned_in_every_network(name, peers) -> None:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config_of(name).model)
    targets = find_targets(model, 0.3)
    assert len(targets) == 19 * peers
    assert sum(len(target.weight) for target in targets) == 688 * peers


def test_every_convolution_is_coupled() -> None:
    config = config_of('cpu_asrfp_coupled_resnet20_p30_cifar100')
    model = build_network(config.model)
    hook = HOOKS.build(dict(config.default_hooks.pruning))
    selection = hook.settings.choice.select(model)
    assert len(selection.targets) == 19 and not selection.left_out
    # 9 inside blocks; stage 1, what stage 2 adds, what stage 3 adds
    assert (
        sorted(g.size for g in selection.groups)
        == [16] * 5 + [32] * 4 + [64] * 3
    )
    planned = selection.planned_zeros()
    assert planned['backbone.layer3.2.conv2'] == 4 + 4 + 9


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        *(f'sfp_{network}_p30_{data_of(network)[-1]}' for network in LAYERS),
        *(f'{method}_resnet20_p30_cifar10' for method in METHODS),
    ],
)
def test_one_step(name: str, tmp_path: Path) -> None:
    config = config_of(name)
    size = (64, 64) if 'imagenet' in name else (32, 32)
    config.train_dataloader = dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 2, size=size),
    )
    config.train_cfg.max_epochs = 1
    config.default_hooks.checkpoint.pop('save_best')
    for part in ('dataloader', 'cfg', 'evaluator'):
        config[f'val_{part}'] = config[f'test_{part}'] = None
    config.update(
        work_dir=str(tmp_path), experiment_name=name, log_level='ERROR'
    )
    runner = Runner.from_cfg(config)
    runner.train()
    assert np.isfinite(runner.message_hub.get_scalar('train/loss').data[0])
    targets = find_targets(runner.model, 0.3)
    for (zeros, count), target in zip(
        zero_counts(targets), targets, strict=True
    ):
        assert zeros == num_pruned(count, 0.3), target.name


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'cpu_baseline_resnet20_cifar100',
        'cpu_ghfp_resnet20_p40_cifar100',
        'cpu_dml_asrfp_resnet20_p30_cifar100',
    ],
)
def test_short_run_on_real_data(name, data_root, tmp_path) -> None:
    config = config_of(name)
    config.merge_from_dict(
        {
            'work_dir': str(tmp_path),
            'load_from': None,
            'train_dataloader.dataset.indices': 256,
            'val_dataloader.dataset.indices': 500,
            'train_cfg.val_interval': 1,
            'log_level': 'ERROR',
        }
    )
    if config.train_cfg.by_epoch:
        config.train_cfg.max_epochs = 2
    else:  # a mask and a validation after each of two iterations
        config.train_cfg.max_iters = 2
        for hook in ('pruning', 'filter_norms'):
            config.default_hooks[hook].interval = 1
    Runner.from_cfg(config).train()
    best = [path.name for path in tmp_path.glob('best_*.pth')]
    assert len(best) == 1
    assert ('pruned' in best[0]) == ('baseline' not in name)
    if 'baseline' not in name:  # the first epoch is not a pruned network
        assert best[0].endswith(('epoch_2.pth', 'iter_2.pth'))


def test_trained_first_means_torchvisions_network(tmp_path: Path) -> None:
    """Its weights, classifier included: equal outputs."""
    torch.manual_seed(0)
    original = torchvision.models.resnet18().eval()
    torch.save(original.state_dict(), tmp_path / 'resnet18.pth')
    name = 'sfp_resnet18_p30_pretrained_imagenet'
    config = Config.fromfile(FOLDER / f'{name}.py')
    for part in (config.model.backbone, config.model.head):
        assert part.init_cfg.checkpoint == 'torchvision://resnet18'
        part.init_cfg.checkpoint = str(tmp_path / 'resnet18.pth')
    network = build_network(config.model)
    network.init_weights()
    images = torch.randn(1, 3, 64, 64)
    network.eval()
    found = network.head.fc(network.extract_feat(images)[-1])
    torch.testing.assert_close(found, original(images))
