"""The shell scripts that start several processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import torch


def launch(script, *args, **variables):
    environment = {
        **os.environ,
        'OMP_NUM_THREADS': '1',
        'PYTHON': sys.executable,
        **variables,
    }
    return subprocess.run(
        ['bash', script, *map(str, args)],
        env=environment,
        capture_output=True,
        text=True,
    )


def free_port() -> str:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


@pytest.mark.parametrize(
    'name', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test']
)
def test_usage_without_arguments(tools_folder, name):
    done = launch(tools_folder / f'{name}.sh', 'config.py')
    assert done.returncode == 2
    assert done.stderr.startswith('usage: ')


@pytest.mark.parametrize(
    ('name', 'last', 'wanted'),
    [
        ('slurm_train', 'run', ['train.py c.py --work-dir run']),
        ('slurm_test', 'c.pth', ['test.py c.py c.pth']),
    ],
)
def test_slurm_command(tools_folder, tmp_path, name, last, wanted):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    done = launch(
        tools_folder / f'{name}.sh',
        *('part', 'job', 'c.py', last, '--seed', '3'),
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='4',
    )
    assert done.returncode == 0, done.stderr
    wanted += ['-p part --job-name=job', '--ntasks=4', '--gres=gpu:4']
    wanted += ['--launcher slurm --seed 3']
    assert all(text in done.stdout for text in wanted), done.stdout


@pytest.mark.slow
def test_two_processes_train_and_test(toy, tools_folder):
    run = toy.folder / 'run'
    done = launch(
        tools_folder / 'dist_train.sh',
        *(toy.distiller, 2, '--work-dir', run, '--cfg-options'),
        'model.student.backbone.norm_cfg.type=SyncBN',
        PORT=free_port(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if not torch.cuda.is_available():
        assert 'gloo' in done.stdout + done.stderr
    state = torch.load(run / 'iter_2.pth', weights_only=False)['state_dict']
    assert all(key.startswith('student.') for key in state)

    metrics = []
    for processes in (1, 2):
        out = toy.folder / f'{processes}.json'
        done = launch(
            tools_folder / 'dist_test.sh',
            *(toy.distiller, run / 'iter_2.pth', processes),
            *('--work-dir', run, '--out', out),
            PORT=free_port(),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        metrics.append(json.loads(out.read_text()))
    assert metrics[0] == pytest.approx(metrics[1])
