"""Misspelt keys of a config."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd.cli.keys import RUN_KEYS, check_keys, nearest


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('custom_hook', 'custom_hooks'),
        ('default_hook', 'default_hooks'),
        ('randomnes', 'randomness'),
        ('param_schedulers', 'param_scheduler'),
        ('custom_import', 'custom_imports'),
        ('optim_wraper', 'optim_wrapper'),
        ('val_evaluators', 'val_evaluator'),
        ('train_dataloder', 'train_dataloader'),
        ('loadfrom', 'load_from'),
        ('Model', 'model'),
        ('load_from_parital', 'load_from_partial'),
    ],
)
def test_misspelt_top_level_key(key, meant):
    config = Config({'train_cfg': {}, key: []})
    with pytest.raises(KeyError, match=f'sets "{key}".*{meant}'):
        check_keys(config)


@pytest.mark.parametrize('key', sorted(RUN_KEYS - {'self'}))
def test_every_key_with_a_letter_left_out(key):
    for index in range(1, len(key) if len(key) > 7 else 1):
        wrong = key[:index] + key[index + 1 :]
        if wrong in RUN_KEYS:
            continue
        with pytest.raises(KeyError, match=f'sets "{wrong}"'):
            check_keys(Config({wrong: 1}))


@pytest.mark.parametrize(
    'key',
    ['dataset_type', 'crop_size', 'optimizer', 'train_pipeline', 'codec',
     'backend_args', 'val_dataset', 'max_iters', 'seed', 'networks'],
)  # fmt: skip
def test_variables_pass(key):
    check_keys(Config({key: 1}))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            dict(env_cfg=dict(cudnn_benchmrk=True)),
            'env_cfg has the unknown key "cudnn_benchmrk"; nearest: '
            'cudnn_benchmark',
        ),
        (
            dict(env_cfg=dict(mp_cfg=dict(start_method='fork'))),
            'mp_cfg has the unknown key "start_method"',
        ),
        (
            dict(auto_scale_lr=dict(enabel=True)),
            'unknown key "enabel"; nearest: enable',
        ),
        (
            dict(
                optim_wrapper=dict(paramwise_cfg=dict(norm_decay_multi=0.0))
            ),
            'unknown key "norm_decay_multi"; nearest: norm_decay_mult',
        ),
    ],
)
def test_keys_that_mmengine_passes_over(changes, words):
    with pytest.raises(KeyError) as found:
        check_keys(Config(changes))
    assert words in found.value.args[0]


def test_dict_of_another_kind():
    with pytest.raises(TypeError, match=r'env_cfg=True is a bool'):
        check_keys(Config(dict(env_cfg=True)))


def test_other_constructors_have_keys_of_their_own():
    wrapper = dict(constructor='LayerDecay', paramwise_cfg=dict(decay=1))
    check_keys(Config(dict(optim_wrapper=wrapper)))


def test_nothing_is_offered_that_is_not_alike():
    assert nearest('ChannelWiseDivergence', ['OnlineDistiller']) == []
    assert nearest('kldivloss', ['KLDivLoss']) == ['KLDivLoss']
