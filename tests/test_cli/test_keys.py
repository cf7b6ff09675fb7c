"""Misspelt keys of a config."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd.cli.keys import RUN_KEYS, check_keys, misspelt, nearest


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
        ('load_form', 'load_from'),
        ('train_cgf', 'train_cfg'),
        ('modle', 'model'),
        ('resumee', 'resume'),
        ('tta_pipline', 'tta_pipeline'),
        ('load_from_parital', 'load_from_partial'),
    ],
)
def test_misspelt_top_level_key(key, meant):
    config = Config({'train_cfg': {}, key: []})
    with pytest.raises(KeyError, match=f'sets "{key}".*{meant}'):
        check_keys(config)


@pytest.mark.parametrize('key', sorted(RUN_KEYS))
def test_every_key_with_a_letter_left_out(key):
    for index in range(3 if key.startswith('tta') else 0, len(key)):
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
    assert misspelt(key) is None
    check_keys(Config({key: 1}))


def test_the_mistake_of_a_stock_config_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmkd.cli.keys.print_log', lambda text, **kwargs: said.append(text)
    )
    check_keys(Config(dict(models=dict(decode_head={}))))
    assert len(said) == 1
    assert 'nearest: model.' in said[0]


@pytest.mark.slow
@pytest.mark.parametrize('place', ['mmpretrain', 'mmseg', 'mmdet', 'mmpose'])
def test_no_stock_config_is_refused(place):
    pytest.importorskip(place)
    folder = Path(find_spec(place).submodule_search_locations[0])
    files = sorted((folder / '.mim' / 'configs').rglob('*.py'))
    count = 0
    for file in files:
        try:
            config = Config.fromfile(file)
        except Exception:  # some need packages, some are broken
            continue
        check_keys(config)
        count += 1
    assert count > 0.9 * len(files)


@pytest.mark.slow
def test_no_config_of_mmkd_is_refused():
    files = sorted((Path(__file__).parents[2] / 'configs').rglob('*.py'))
    assert len(files) > 500
    for file in files:
        check_keys(Config.fromfile(file))


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
            dict(auto_scale_lr=dict(enablee=True)),
            'unknown key "enablee"; nearest: enable',
        ),
        (
            dict(optim_wrapper=dict(paramwise_cfg=dict(norm_decay_multi=0.0))),
            'unknown key "norm_decay_multi"; nearest: norm_decay_mult',
        ),
        (
            dict(
                optim_wrapper=dict(
                    paramwise_cfg=dict(
                        custom_keys={'head.fc': dict(decaymult=0.1)}
                    )
                )
            ),
            'custom_keys.head.fc has the key "decaymult", which nothing '
            'reads; nearest: decay_mult',
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
    assert check_keys(Config(dict(optim_wrapper=wrapper))) is None


def test_nothing_is_offered_that_is_not_alike():
    assert nearest('ChannelWiseDivergence', ['OnlineDistiller']) == []
    assert nearest('kldivloss', ['KLDivLoss']) == ['KLDivLoss']
