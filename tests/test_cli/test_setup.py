"""Options of the tools."""

from __future__ import annotations

import argparse

import pytest
from mmengine.config import Config

from mmkd.cli.arguments import add_config_arguments
from mmkd.cli.config import apply_options
from mmkd.cli.runner import start_processes


@pytest.fixture
def config():
    return Config(dict(train_cfg=dict(max_iters=2), max_iters=2))


def test_options_are_merged(config):
    apply_options(
        config,
        {'train_cfg.max_iters': 5, 'randomness.seed': 3, 'resume': True},
    )
    assert config.train_cfg.max_iters == 5
    assert config.randomness.seed == 3
    assert config.resume is True


@pytest.mark.parametrize(
    'option', ["hooks=[dict(type='A', rate=0.3)]", 'hooks', 'hooks=[1,2']
)
def test_unreadable_option_is_one_line(option, capsys) -> None:
    parser = argparse.ArgumentParser(prog='train.py')
    add_config_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['config.py', '--cfg-options', option])
    line = capsys.readouterr().err.splitlines()[-1]
    assert f'--cfg-options {option}: not KEY=VALUE' in line
    assert 'default_hooks.pruning.type=' in line


def test_unknown_key_lists_the_nearest(config):
    with pytest.raises(KeyError, match='nearest: train_cfg'):
        apply_options(config, {'trian_cfg.max_iters': 5})


def test_variables_of_the_file_are_remarked(config, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmkd.cli.config.print_log', lambda text, **kwargs: said.append(text)
    )
    apply_options(config, {'train_cfg.max_iters': 5})
    assert said == []
    apply_options(config, {'max_iters': 5})
    assert len(said) == 1
    assert '"max_iters" is a variable' in said[0]


def test_launchers_without_gpu(config, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.delenv('RANK', raising=False)
    config.launcher = 'none'
    start_processes(config)
    assert 'env_cfg' not in config
    config.launcher = 'slurm'
    with pytest.raises(ValueError, match='torchrun'):
        start_processes(config)
    config.launcher = 'pytorch'
    with pytest.raises(KeyError, match='RANK'):
        start_processes(config)
