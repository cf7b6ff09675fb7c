"""Which errors become one line."""

from __future__ import annotations

import pytest
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader, Dataset

from mmkd.cli.errors import describe, one_line_errors
from mmkd.datasets import CachedTransforms
from mmkd.models.losses import KLDivLoss


class Loop(BaseLoop):
    """Runs a function, as a training loop does."""

    def __init__(self, function):
        self.function = function

    def run(self):
        return self.function()


def fail_with(error):
    raise error


@pytest.mark.parametrize(
    'error',
    [
        ValueError('bad value'),
        KeyError('bad value'),
        FileNotFoundError('bad value'),
        FloatingPointError('bad value'),
        TypeError('bad value'),
    ],
)
def test_user_errors_while_building(error, capsys):
    with pytest.raises(SystemExit) as stopped, one_line_errors():
        fail_with(error)
    assert stopped.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith('error: ')
    assert text.endswith('bad value\n')
    assert "'" not in text


def test_several_lines_become_one():
    text = describe(ValueError('first\n    second'))
    assert text == 'error: first second'


@pytest.mark.parametrize(
    'error', [ValueError('shape'), KeyError('x'), RuntimeError('cuda')]
)
def test_errors_of_a_running_loop_keep_their_traceback(error):
    loop = Loop(lambda: fail_with(error))
    with pytest.raises(type(error)), one_line_errors():
        loop.run()


def test_unforeseen_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        fail_with(ZeroDivisionError('x'))
    with pytest.raises(ValueError), one_line_errors():
        fail_with(ValueError())  # says nothing by itself


def test_non_finite_loss_in_a_loop_is_one_line(capsys):
    loop = Loop(lambda: fail_with(FloatingPointError('loss_kd is nan')))
    with pytest.raises(SystemExit), one_line_errors():
        loop.run()
    assert capsys.readouterr().err == 'error: loss_kd is nan\n'


def test_what_mmkd_raises_in_a_loop_is_one_line(capsys):
    loop = Loop(lambda: KLDivLoss(temperature=-1.0))
    with pytest.raises(SystemExit), one_line_errors():
        loop.run()
    assert 'temperature' in capsys.readouterr().err


class Failing(Dataset):
    """One sample, which cannot be made."""

    def __init__(self, function):
        self.function = function

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.function()


def test_what_mmkd_raises_in_a_worker_is_one_line(capsys):
    data = Failing(lambda: KLDivLoss(temperature=-1.0))
    loop = Loop(lambda: next(iter(DataLoader(data, num_workers=1))))
    with pytest.raises(SystemExit), one_line_errors():
        loop.run()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith('error: KLDivLoss: temperature=-1.0 must')


def test_key_error_of_a_worker_is_one_line(capsys):
    data = Failing(lambda: CachedTransforms([])({'img': 0}))
    loop = Loop(lambda: next(iter(DataLoader(data, num_workers=1))))
    with pytest.raises(SystemExit), one_line_errors():
        loop.run()
    text = capsys.readouterr().err
    assert text.startswith("error: CachedTransforms: no entry 'img_path'")


def test_other_errors_of_a_worker_keep_their_traceback():
    data = Failing(lambda: fail_with(ValueError('shape')))
    loop = Loop(lambda: next(iter(DataLoader(data, num_workers=1))))
    words = 'Original Traceback'
    with pytest.raises(ValueError, match=words), one_line_errors():
        loop.run()


@pytest.mark.parametrize('way', ['argument', 'variable'])
def test_full_traceback_on_demand(way, monkeypatch):
    if way == 'variable':
        monkeypatch.setenv('MMKD_TRACEBACK', '1')
    with pytest.raises(ValueError), one_line_errors(full=way == 'argument'):
        fail_with(ValueError('bad'))
