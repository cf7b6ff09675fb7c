"""A student sharded over two processes, under a frozen teacher."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

pytest.importorskip('mmpretrain')
from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.taps import find_module  # noqa: E402
from mmkd.toys import toy_classifier, toy_dataset  # noqa: E402

ROOT = Path(__file__).parents[2]
SIZE = (32, 32)


def distillation(folder: Path) -> dict:
    """Two steps of a toy classifier under a teacher, twice as wide."""
    teacher = toy_classifier(width=8)
    torch.manual_seed(1)
    state = build_network(teacher).state_dict()
    torch.save(dict(state_dict=state), folder / 'teacher.pth')
    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
    return dict(
        default_scope='mmpretrain',
        model=dict(
            type='mmkd.OfflineDistiller',
            student=toy_classifier(width=4),
            teacher=dict(
                config=teacher, checkpoint=str(folder / 'teacher.pth')
            ),
            taps=dict(feats='backbone.layer4', logits='head.fc'),
            losses=dict(
                kd=dict(type='mmkd.KLDivLoss', on='logits'),
                dense=dict(type='mmkd.DenseCosineLoss', on='feats'),
            ),
            input_shape=(3, *SIZE),
        ),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=toy_dataset('classification', 16, size=SIZE),
        ),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=[dict(type='mmkd.ExportStudentHook')],
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0),
        exact_resume=False,  # mmengine's loop in both: the same first weights
    )


def train(config: Path, folder: Path) -> str:
    """Train in two processes; returns what they said."""
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'torch.distributed.run', '--standalone'),
            *('--nproc_per_node', '2', str(ROOT / 'tools/train.py')),
            *(str(config), '--launcher', 'pytorch'),
            *('--work-dir', str(folder)),
        ],
        env={
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'PYTHONPATH': str(ROOT),
            'CUDA_VISIBLE_DEVICES': '',
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_fsdp_trains_saves_and_exports_as_ddp(tmp_path):
    given = distillation(tmp_path)
    Config(given).dump(tmp_path / 'ddp.py')
    fragment = Config.fromfile(ROOT / 'configs/_base_/fsdp.py').to_dict()
    Config(dict(given, **fragment)).dump(tmp_path / 'fsdp.py')
    train(tmp_path / 'ddp.py', tmp_path / 'ddp')
    said = train(tmp_path / 'fsdp.py', tmp_path / 'fsdp')
    assert 'ExportStudentHook writes nothing' in said
    found = read_checkpoint(tmp_path / 'fsdp/iter_2.pth')['state_dict']
    wanted = read_checkpoint(tmp_path / 'ddp/iter_2.pth')['state_dict']
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, msg=key)
    subprocess.run(
        [
            *(sys.executable, str(ROOT / 'tools/export_student.py')),
            *(str(tmp_path / 'fsdp.py'), str(tmp_path / 'fsdp/iter_2.pth')),
        ],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        check=True,
    )
    plain = read_checkpoint(tmp_path / 'fsdp/student.pth')['state_dict']
    for key, value in plain.items():
        assert value.equal(found[f'student.{key}']), key


def test_taps_find_modules_behind_wrappers():
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self._fsdp_wrapped_module = module

    inner = nn.Sequential(nn.Linear(2, 2))
    wrapped = Wrapper(inner)
    network = nn.ModuleDict(dict(backbone=wrapped))
    assert find_module(network, 'backbone') is wrapped
    assert find_module(network, 'backbone.0') is inner[0]


def test_fragments_are_read_by_mmengine():
    for name, strategy in (
        ('fsdp', 'FSDPStrategy'),
        ('deepspeed_zero2', 'DeepSpeedStrategy'),
    ):
        config = Config.fromfile(ROOT / f'configs/_base_/{name}.py')
        assert config.runner_type == 'FlexibleRunner'
        assert config.strategy.type == strategy
