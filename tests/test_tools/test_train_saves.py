"""Saves of ``tools/train.py`` that are cut short."""

from __future__ import annotations

import errno
import os
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.whole import damage


@pytest.mark.parametrize('which', ['student', 'distiller'])
def test_every_run_is_safe(toy, tool, which):
    """The config names mmengine's hook, and so does what is kept of it."""
    folder = toy.folder / 'run'
    config = getattr(toy, which)
    tool('train').main([str(config), '--work-dir', str(folder)])
    for name in ('iter_1.pth', 'iter_2.pth'):
        assert (folder / f'{name}.sha256').is_file()
        assert damage(folder / name) is None
    assert 'SafeCheckpointHook' not in (folder / config.name).read_text()


def test_full_disk_is_one_line(toy, tool, error_line, monkeypatch):
    folder = toy.folder / 'run'
    replace = os.replace

    def full(source, target):
        if Path(target).name == 'iter_2.pth':
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)
    line = error_line(tool('train').main, toy.student, '--work-dir', folder)
    assert re.search(r'iter_2\.pth cannot be written: .*No space left', line)
    assert f'the last is {folder / "iter_1.pth"}: make room' in line
    left = {path.name for path in folder.glob('iter*')}
    assert left == {'iter_1.pth', 'iter_1.pth.sha256'}


def test_full_disk_elsewhere_is_one_line_too(
    toy, tool, error_line, monkeypatch
):
    def full(self, runner, *args, **kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device', 'scalars.json')

    monkeypatch.setattr('mmengine.hooks.LoggerHook.after_train_iter', full)
    line = error_line(
        tool('train').main, toy.student, '--work-dir', toy.folder / 'run'
    )
    assert 'No space left on device' in line
    assert 'scalars.json' in line


@pytest.mark.parametrize('hashed', [True, False])
def test_resume_and_load_from_of_a_damaged_file(toy, tool, error_line, hashed):
    folder = toy.folder / 'run'
    main = tool('train').main
    main([str(toy.student), '--work-dir', str(folder), '--no-validate'])
    file = folder / 'iter_1.pth'
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    if not hashed:
        (folder / 'iter_1.pth.sha256').unlink()
    run = [toy.student, '--work-dir', toy.folder / 'other']
    for options in (
        ['--resume', file],
        ['--cfg-options', f'load_from={file}'],
    ):
        line = error_line(main, *run, *options)
        assert f'"{file}" cannot be read' in line


def test_nothing_to_resume_starts_as_configured(toy, tool, monkeypatch):
    """``load_from`` counts when there is no checkpoint yet."""
    train = tool('train')
    seen = []
    monkeypatch.setattr(
        'mmengine.runner.Runner.train',
        lambda self: seen.append((self._resume, self._load_from)),
    )
    start = f'load_from={toy.teacher}'
    train.main(
        [
            str(toy.student),
            f'--work-dir={toy.folder / "run"}',
            '--resume',
            '--cfg-options',
            start,
        ]
    )
    assert seen == [(False, str(toy.teacher))]


@pytest.mark.slow
def test_killed_at_random_moments(toy, tool, tools_folder):
    """Five kills of the tool in turn; each run goes on with the last."""
    config = Config.fromfile(toy.distiller)  # of a stock loop, no seed hook
    steps = 60
    config.train_cfg.update(max_iters=steps, val_interval=20)
    config.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best='mIoU')
    path = toy.folder / 'long.py'
    config.dump(path)
    command = [sys.executable, str(tools_folder / 'train.py'), str(path)]
    straight, killed = toy.folder / 'straight', toy.folder / 'killed'
    subprocess.run([*command, f'--work-dir={straight}'], check=True)
    random.seed(0)
    for _ in range(5):
        run = subprocess.Popen([*command, f'--work-dir={killed}', '--resume'])
        before = newest_step(killed)
        while run.poll() is None and newest_step(killed) == before:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 0.5))
        run.kill()
        run.wait()
        for file in killed.glob('*.pth'):
            assert damage(file) is None
            read_checkpoint(file)
    subprocess.run([*command, f'--work-dir={killed}', '--resume'], check=True)
    last = f'iter_{steps}.pth'
    one, two = (read_checkpoint(f / last) for f in (straight, killed))
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key


def newest_step(folder):
    steps = [int(p.stem.rpartition('_')[2]) for p in folder.glob('iter*.pth')]
    return max(steps, default=0)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_two_processes_write_once_and_resume_alike(toy, tools_folder):
    """The newest file is damaged: both go on from the one before."""
    run, config = toy.folder / 'run', toy.distiller
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = str(server.getsockname()[1])
    command = [
        *(sys.executable, '-m', 'torch.distributed.run'),
        *('--nproc_per_node=2', f'--master_port={port}'),
        *(tools_folder / 'train.py', config, f'--work-dir={run}'),
        *('--launcher=pytorch', '--no-validate', '--resume'),
    ]
    subprocess.run(command, check=True)
    whole = read_checkpoint(run / 'iter_2.pth')['state_dict']
    (run / 'iter_2.pth').write_bytes(b'PK')
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (done.stdout + done.stderr).count('--resume skips') == 1
    again = read_checkpoint(run / 'iter_2.pth')['state_dict']
    assert all(torch.equal(again[key], whole[key]) for key in whole)
    assert not list(run.glob('*.partial'))


def test_log_lines_on_a_full_disk_print_no_traceback(
    toy, tool, error_line, monkeypatch, capsys
):
    """Nothing has room: neither the log file nor what comes next."""

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('logging.FileHandler._open', full)
    monkeypatch.setattr('mmengine.config.Config.dump', full)
    folder = toy.folder / 'run'
    line = error_line(tool('train').main, toy.student, '--work-dir', folder)
    assert 'No space left on device' in line
    assert 'Traceback' not in capsys.readouterr().err
