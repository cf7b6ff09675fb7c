"""Arguments of the tools."""

from __future__ import annotations

import argparse

import pytest

from mmkd.cli.arguments import add_config_arguments


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
