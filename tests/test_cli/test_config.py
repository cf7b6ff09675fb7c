"""Changes to a config from the command line."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmkd.cli.config import apply_options


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
