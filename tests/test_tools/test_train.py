"""tools/train.py: a run, its arguments and its error lines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config


@pytest.mark.slow
def test_trains_a_distiller_from_any_folder(toy, tools_folder):
    done = subprocess.run(
        [
            sys.executable,
            tools_folder / 'train.py',
            toy.distiller,
            '--no-validate',
        ],
        cwd=toy.folder,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    saved = torch.load(
        toy.folder / 'work_dirs' / toy.distiller.stem / 'iter_2.pth',
        weights_only=False,
    )
    assert saved['meta']['iter'] == 2
    assert all(key.startswith('student.') for key in saved['state_dict'])


def test_resume_continues_where_the_run_stopped(toy, tool):
    train = tool('train').main
    run = [str(toy.distiller), '--work-dir', str(toy.folder / 'run')]
    train([*run, '--no-validate'])
    first = toy.folder / 'run' / 'iter_1.pth'
    written = first.stat().st_mtime_ns
    options = ['--cfg-options', 'train_cfg.max_iters=3']
    train([*run, '--no-validate', '--resume', *options])
    assert (toy.folder / 'run' / 'iter_3.pth').is_file()
    assert first.stat().st_mtime_ns == written  # not trained again


def test_arguments_reach_the_config(toy, tool):
    train = tool('train')
    args = train.parse_args(
        [
            str(toy.distiller),
            '--seed=7',
            '--no-validate',
            '--resume',
            'some.pth',
            '--auto-scale-lr',
            '--local-rank=1',
        ]
    )
    config = Config.fromfile(toy.distiller)
    config.auto_scale_lr = dict(base_batch_size=16)
    train.apply_arguments(config, args)
    assert config.randomness.seed == 7
    assert config.val_cfg is None
    assert config.val_dataloader is None
    assert (config.resume, config.load_from) == (True, 'some.pth')
    assert config.auto_scale_lr.enable
    assert args.local_rank == 1


def test_resume_without_value_means_the_newest(toy, tool):
    train = tool('train')
    config = Config.fromfile(toy.distiller)
    train.apply_arguments(
        config, train.parse_args([str(toy.distiller), '--resume'])
    )
    assert (config.resume, config.load_from) == (True, None)


@pytest.mark.parametrize('gpu', [True, False])
def test_mixed_precision_follows_the_device(toy, tool, monkeypatch, gpu):
    train = tool('train')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    args = train.parse_args([str(toy.distiller), '--amp'])
    config = Config.fromfile(toy.distiller)
    config.optim_wrapper.type = 'OptimWrapper'
    for _ in range(2):  # a config may have it already
        train.apply_arguments(config, args)
        wrapper = config.optim_wrapper
        if gpu:
            assert wrapper.type == 'AmpOptimWrapper'
            assert wrapper.loss_scale == 'dynamic'
        else:
            assert wrapper.type == 'mmkd.AutocastOptimWrapper'
            assert 'loss_scale' not in wrapper


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_trains_with_bfloat16_on_a_cpu(toy, tool):
    folder = toy.folder / 'run'
    arguments = [str(toy.distiller), '--work-dir', str(folder)]
    tool('train').main([*arguments, '--amp', '--no-validate'])
    saved = torch.load(folder / 'iter_2.pth', weights_only=False)
    weights = [v for v in saved['state_dict'].values() if v.ndim > 1]
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert all(weight.isfinite().all() for weight in weights)


def test_mixed_precision_of_a_foreign_wrapper(toy, tool, error_line):
    line = error_line(
        tool('train').main,
        toy.distiller,
        '--amp',
        '--cfg-options',
        'optim_wrapper.type=ApexOptimWrapper',
    )
    assert 'optim_wrapper.type=ApexOptimWrapper has no mixed' in line


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['trainn_cfg.max_iters=3'], ['trainn_cfg', 'nearest: train_cfg']),
        (['train_cfg.max_iter=3'], ['train_cfg', 'nearest: max_iters']),
        (['model.teacher.checkpoint=no.pth'], ['no.pth', 'not exist']),
        (['model.taps.logits=decode_head.conv'], ['tap logits', 'conv_seg']),
        (['model.losses.kd.type=mmkd.KLDiv'], ['mmkd.KLDiv']),
        (['model.student.backbone.dept=18'], ['dept']),
        (
            ['train_dataloader.sampler.batch_size=3'],
            ['sampler.batch_size=3', 'train_dataloader.batch_size=2'],
        ),
    ],
)
def test_mistakes_in_options_give_one_line(
    toy, tool, error_line, arguments, words
):
    line = error_line(
        tool('train').main,
        toy.distiller,
        '--work-dir',
        toy.folder / 'run',
        '--cfg-options',
        *arguments,
    )
    assert all(word in line for word in words), line


def test_missing_or_broken_config(toy, tool, error_line):
    main = tool('train').main
    assert 'nope.py' in error_line(main, toy.folder / 'nope.py')
    broken = toy.folder / 'broken.py'
    broken.write_text('model = dict(\n')
    line = error_line(main, broken)
    assert 'broken.py' in line
    assert 'cannot be read' in line


def test_missing_base_batch_size(toy, tool, error_line):
    line = error_line(tool('train').main, toy.distiller, '--auto-scale-lr')
    assert 'base_batch_size' in line


def test_resuming_another_model_is_refused(toy, tool, error_line):
    line = error_line(
        tool('train').main,
        toy.distiller,
        '--work-dir',
        toy.folder / 'run',
        '--resume',
        toy.teacher,
    )
    assert str(toy.teacher) in line
    assert 'do not fit' in line


def test_traceback_on_demand(toy, tool, monkeypatch):
    train = tool('train').main
    missing = str(toy.folder / 'nope.py')
    with pytest.raises(FileNotFoundError):
        train([missing, '--traceback'])
    monkeypatch.setenv('MMKD_TRACEBACK', '1')
    with pytest.raises(FileNotFoundError):
        train([missing])
