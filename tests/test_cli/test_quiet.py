"""What a tool writes to the terminal, and what to its log file."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from mmkd.cli.quiet import ToFileOnly, keep_dumps_off_terminal, without_advice
from mmkd.engine.hooks import TerminalLineHook
from mmkd.engine.hooks.terminal_line_hook import steps_done


@pytest.mark.parametrize(
    ('level', 'text', 'shown'),
    [
        (logging.INFO, '\n-----\nSystem environment:\n    CPU', False),
        (logging.INFO, 'Config:\nmodel = dict()', False),
        (
            logging.INFO,
            'Hooks will be executed in the following order:',
            False,
        ),
        (logging.WARNING, '"FileClient" will be deprecated in future', False),
        (
            logging.WARNING,
            'peer1.conv is duplicate. It is skipped since '
            'bypass_duplicate=True',
            False,
        ),
        (logging.INFO, 'paramwise_options -- head.fc.bias:lr=0.1', False),
        (logging.WARNING, 'the run counts iterations', True),
        (logging.INFO, 'OnlineDistiller\n  networks', True),
        (logging.ERROR, 'deprecated', True),
    ],
)
def test_records_on_the_terminal(level, text, shown):
    record = logging.LogRecord('x', level, '', 0, text, (), None)
    assert ToFileOnly().filter(record) == shown


def test_the_file_gets_all(tmp_path):
    stream, path = io.StringIO(), tmp_path / 'log'
    logger = logging.Logger('quiet')
    logger.addHandler(logging.StreamHandler(stream))
    logger.addHandler(logging.FileHandler(path))
    for _ in range(2):
        keep_dumps_off_terminal(logger)
    logger.info('Config:\nx = 1')
    logger.info('starts')
    assert stream.getvalue() == 'starts\n'
    assert path.read_text() == 'Config:\nx = 1\nstarts\n'
    assert len(logger.handlers[0].filters) == 1
    for handler in logger.handlers:
        handler.close()


def warn_as(module, text, category=UserWarning):
    warnings.warn_explicit(text, category, f'{module}.py', 1, module=module)


def test_advice_of_others_is_hidden_in_tools_alone():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        with without_advice():
            warn_as('mmengine.utils.package_utils', 'pkg_resources is old')
            warn_as('mmseg.models.builder', 'would be deprecated soon')
            warn_as('my_network', 'this is deprecated')
            warn_as('mmseg.models.builder', 'the labels look odd')
        warn_as('mmseg.models.builder', 'would be deprecated soon')
    assert [str(w.message) for w in seen] == [
        'this is deprecated',
        'the labels look odd',
        'would be deprecated soon',
    ]


def test_start_of_a_run_is_short(toy, tool, capfd):
    tool('train').main([str(toy.distiller), '--work-dir', str(toy.folder)])
    lines = capfd.readouterr().out.splitlines()
    first = next(k for k, line in enumerate(lines) if 'Iter(train)' in line)
    text = '\n'.join(lines[:first])
    assert first < 25
    assert 'OfflineDistiller' in text
    assert 'System environment' not in text
    log = next(toy.folder.rglob('*.log'))
    assert f'environment, config and hooks: {log}' in text
    written = log.read_text()
    for part in ('System environment:', 'Config:', 'OfflineDistiller'):
        assert part in written
    assert 'Hooks will be executed' in written


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def show(stream, monkeypatch, steps=3, total=6):
    """Run some steps of a hook, a second each; return what it wrote."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        'mmkd.engine.hooks.terminal_line_hook.time.perf_counter',
        lambda: clock.now,
    )
    hook = TerminalLineHook(stream)
    runner = SimpleNamespace(
        iter=0, max_iters=total, hooks=[hook], val_dataloader=[0] * 4
    )
    hook.before_train(runner)
    for step in range(steps):
        clock.now += 1.0
        runner.iter = step
        hook.after_train_iter(runner, 0, None, dict(loss=torch.tensor(0.5)))
    clock.now += 1.0
    hook.after_val_iter(runner, 1)
    hook.after_run(runner)
    assert steps_done(runner) == steps
    return stream.getvalue()


def test_line_on_a_terminal(monkeypatch):
    text = show(Terminal(), monkeypatch)
    lines = text.split('\r\x1b[2K')
    assert lines[3].startswith('training  [##########..........]  3/6')
    assert lines[3].endswith('loss 0.5  0:03 left\r')
    assert lines[4].startswith('validation  [##########..........]  2/4')
    assert lines[-1] == ''


def test_no_line_elsewhere(monkeypatch):
    assert show(io.StringIO(), monkeypatch) == ''


def test_default_stream_is_standard_error():
    assert TerminalLineHook().stream is sys.stderr
