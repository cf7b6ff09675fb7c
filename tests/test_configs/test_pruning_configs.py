"""Configs of soft filter pruning: what the hook of each is told to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')

from mmkd.pruning import find_targets  # noqa: E402
from mmkd.registry import HOOKS, MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'soft_filter_pruning'
NAMES = sorted(path.stem for path in FOLDER.glob('cpu_*.py'))
METHODS = ('sfp', 'asfp', 'srfp', 'asrfp', 'ghfp', 'weight')


def config_of(name: str) -> Any:
    return Config.fromfile(FOLDER / f'{name}.py')


def test_all_methods_at_all_rates() -> None:
    found = {
        match.groups()
        for name in NAMES
        if (match := re.fullmatch(r'cpu_(\w+?)_resnet20_p(\d+)_cif.*', name))
    }
    expected = {(m, r) for m in METHODS for r in ('10', '20', '30', '40')}
    assert found == expected | {('dml_asrfp', '30')}
    assert 'cpu_baseline_resnet20_cifar100' in NAMES


@pytest.mark.parametrize('name', [n for n in NAMES if 'baseline' not in n])
def test_hook_does_what_the_name_says(name: str) -> None:
    config = config_of(name)
    method, rate = re.fullmatch(
        r'cpu_(\w+?)_resnet20_p(\d+)_.*', name
    ).groups()
    (given,) = config.custom_hooks
    hook = HOOKS.build(given)
    assert hook.choice['pruning_rate'] == int(rate) / 100
    granularity = 'weight' if method == 'weight' else 'filter'
    assert hook.granularity == granularity
    method = dict(weight='sfp', dml_asrfp='asrfp').get(method, method)
    assert given['method'] == method
    assert not hook.mask_before_train and hook.recalibrate_bn == 0
    assert config.default_hooks.checkpoint.save_best == 'pruned/accuracy/top1'
    assert config.train_cfg.max_epochs == config.param_scheduler.T_max == 10


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
            'train_dataloader.dataset.indices': 256,
            'val_dataloader.dataset.indices': 500,
            'train_cfg.max_epochs': 2,
            'train_cfg.val_interval': 1,
            'log_level': 'ERROR',
        }
    )
    Runner.from_cfg(config).train()
    best = [path.name for path in tmp_path.glob('best_*.pth')]
    assert len(best) == 1
    assert ('pruned' in best[0]) == ('baseline' not in name)
    if 'baseline' not in name:  # the first epoch is not a pruned network
        assert best[0].endswith('epoch_2.pth')
