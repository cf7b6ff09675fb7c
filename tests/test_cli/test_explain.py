"""Errors of other libraries, told by the key of the config."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

pytest.importorskip('mmseg')
pytest.importorskip('mmpretrain')
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from mmkd.cli.explain import ConfigError, explained  # noqa: E402
from mmkd.cli.frames import path_of  # noqa: E402
from mmkd.cli.signatures import parameters_of, wrong_kinds  # noqa: E402
from tests.support.fault_bases import base  # noqa: E402


def train(tool, folder, config, error_line):
    path = folder / f'run_{folder.name}.py'
    path.write_text('\n'.join(f'{k} = {v!r}' for k, v in config.items()))
    main = tool('train').main
    return error_line(main, path, '--work-dir', folder / 'run')


@pytest.fixture
def line(tool, tmp_path, error_line):
    """Run a config with changes; return its error line."""

    def run(name, changes):
        config = Config(base(name, tmp_path))
        config.merge_from_dict(changes)
        return train(tool, tmp_path, config.to_dict(), error_line)

    return run


@pytest.mark.parametrize(
    ('name', 'changes', 'words'),
    [
        (
            'plain_classification',
            {'model.backbone.dept': 34},
            'error: model.backbone (ResNet) has the unknown key "dept"; '
            'nearest: depth, deep_stem; it knows ',
        ),
        (
            'kd_classification',
            {'model.losses.kd.type': 'KLDivLoss'},
            'but mmkd has it: write type="mmkd.KLDivLoss"',
        ),
        (
            'plain_classification',
            {'optim_wrapper.optimizer.type': 'SDG'},
            'error: optim_wrapper.optimizer: type="SDG" is in no registry of '
            'optimizers; nearest: ',
        ),
        (
            'plain_classification',
            {'optim_wrapper.optimizer.lr': 'fast'},
            "optim_wrapper.optimizer (SGD): lr='fast' is text, give a number",
        ),
        (
            'kd_classification',
            {'model.losses': [dict(type='mmkd.KLDivLoss')]},
            "model.losses=[{'type': 'mmkd.KLDivLoss'}] is of the kind list: "
            "give dict(kd=dict(type='mmkd.KLDivLoss'))",
        ),
        (
            'kd_classification',
            {'model.losses.kd.on': None},
            'losses.kd: on=None must be the name of a tap',
        ),
        (
            'kd_classification',
            {'model.losses': dict(_delete_=True)},
            'model.teacher teaches nothing: no loss of model.losses (empty)',
        ),
        (
            'plain_classification',
            {'train_dataloader.batch_size': 1},
            'a batch of one image. Set train_dataloader.batch_size (now 1) to '
            '2 or more, or train_dataloader.drop_last=True',
        ),
        (
            'plain_classification',
            {'model.head.in_channels': 63},
            'model.head.fc (Linear 63 -> 7): RuntimeError: ',
        ),
        (
            'plain_classification',
            {'train_dataloader.batchsize': 1},
            'train_dataloader has the unknown key "batchsize"; nearest: '
            'batch_size, batch_sampler; it knows ',
        ),
    ],
)  # fmt: skip
def test_one_line_names_the_key(line, name, changes, words):
    assert words in line(name, changes)


def test_missing_teacher_names_the_command(line, tmp_path):
    text = line('kd_classification', {'model.teacher.checkpoint': 'no.pth'})
    config = tmp_path / 'teacher_classification.py'
    assert '"no.pth" does not exist: train the teacher first (python ' in text
    assert f'tools/train.py {config})' in text


def image_data(folder, workers):
    """Return the loader of two images, one of them damaged."""
    images = folder / 'images' / 'cat'
    images.mkdir(parents=True)
    cv2.imwrite(str(images / 'good.png'), np.zeros((32, 32, 3), np.uint8))
    (images / 'damaged.png').write_bytes(b'\x89PNG\r\n\x1a\n cut off')
    dataset = dict(
        type='CustomDataset',
        data_root=str(folder / 'images'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
    return dict(
        batch_size=2,
        num_workers=workers,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dataset,
    )


@pytest.mark.parametrize('workers', [0, 1])
def test_damaged_image_is_named(tool, tmp_path, error_line, workers):
    config = base('plain_classification', tmp_path)
    config['train_dataloader'] = image_data(tmp_path, workers)
    text = train(tool, tmp_path, config, error_line)
    path = tmp_path / 'images' / 'cat' / 'damaged.png'
    assert 'LoadImageFromFile of the pipeline cannot read a sample' in text
    assert f'img_path={path}' in text


def test_broken_annotation_file_is_named(tool, tmp_path, error_line):
    pytest.importorskip('mmdet')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"images": [')
    config = base('plain_detection', tmp_path)
    dataset = dict(type='CocoDataset', ann_file=str(broken))
    config['train_dataloader']['dataset'] = dataset
    text = train(tool, tmp_path, config, error_line)
    assert 'train_dataloader.dataset (CocoDataset): the file ' in text
    assert f'"{broken}" cannot be used, JSONDecodeError: ' in text


def test_what_a_ramp_never_reaches_is_said(tool, tmp_path, capfd):
    config = base('kd_classification', tmp_path)
    config['log_level'] = 'WARNING'
    path = tmp_path / f'ramp_{tmp_path.name}.py'
    path.write_text('\n'.join(f'{k} = {v!r}' for k, v in config.items()))
    tool('train').main([str(path), '--work-dir', str(tmp_path / 'run')])
    text = capfd.readouterr().out
    assert (
        'model.losses.dkd.warmup_epochs=20, but the run counts iterations, '
        'not epochs: the loss never gets its whole weight' in text
    )


def test_errors_that_no_key_explains_stay():
    with pytest.raises(ZeroDivisionError), explained(Config({})):
        1 / 0  # noqa: B018
    assert issubclass(ConfigError, ValueError)


def test_keys_of_a_class_and_its_bases():
    class Base:
        def __init__(self, width: int, depth: int = 3) -> None: ...

    class Child(Base):
        def __init__(self, name: str = '', **kwargs) -> None: ...

    assert list(parameters_of(Child)) == ['width', 'depth', 'name']
    assert wrong_kinds(Child, dict(width='5', depth=2.5, name='x')) == [
        "width='5' is text, give a number"
    ]
    sgd = dict(lr=0.1, momentum='much', params=iter(()))
    assert wrong_kinds(torch.optim.SGD, sgd) == [
        "momentum='much' is text, give a number"
    ]


def test_path_of_a_part():
    config = Config(
        dict(
            model=dict(
                student=dict(type='Net', depth=18),
                losses=dict(kd=dict(type='KL', on='logits', t=4)),
            ),
            hooks=[dict(type='A'), dict(type='B', rate=1)],
        )
    )
    assert path_of(config, dict(type='KL', t=4)) == 'model.losses.kd'
    assert path_of(config, dict(type='B', rate=1)) == 'hooks[1]'
    assert path_of(config, dict(type='Net', depth=18, more=1)) == (
        'model.student'
    )
    assert path_of(config, dict(type='Net', depth=50)) is None
