"""Data set configs of classification: built, read, resumed exactly."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from benchmarks.measure.data import write_noise_archive  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Noise in the place of both data sets."""
    monkeypatch.setenv('MMKD_DATA', str(tmp_path))
    write_noise_archive(tmp_path / 'cifar100', 300)
    folder = tmp_path / 'cifar10' / 'cifar-10-batches-py'
    folder.mkdir(parents=True)
    entry = dict(
        data=np.zeros((40, 3072), np.uint8), labels=list(range(10)) * 4
    )
    for name in [f'data_batch_{k}' for k in range(1, 6)] + ['test_batch']:
        (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
    return tmp_path


def load(name):
    return Config.fromfile(FOLDER / f'{name}.py')


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'classes'),
    [('cifar10', 10), ('cifar100', 100), ('cifar100_class_aware', 100)],
)
@pytest.mark.parametrize('workers', [0, 1])
def test_first_batches(data, name, classes, workers):
    config = load(name)
    preprocessor = MODELS.build(config.data_preprocessor)
    assert config.data_preprocessor.num_classes == classes
    for part, size in (('train', 128), ('val', 100), ('test', 100)):
        loader = dict(config[f'{part}_dataloader'], num_workers=workers)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        result = preprocessor(batch, training=part == 'train')
        count = len(result['data_samples'])
        assert result['inputs'].shape == (count, 3, 32, 32)
        assert count == size or (part != 'train' and classes == 10)
        labels = torch.cat([s.gt_label for s in result['data_samples']])
        assert 0 <= labels.min() <= labels.max() < classes
        if name == 'cifar100_class_aware' and part == 'train':
            assert torch.bincount(labels).unique().tolist() == [0, 2]


def test_normalisation_of_cifar100(data):
    config = load('cifar100').data_preprocessor
    assert config.mean == pytest.approx([129.31, 124.11, 112.40], abs=0.01)
    assert config.std == pytest.approx([68.21, 65.41, 70.41], abs=0.01)


def test_imagenet_samples_tell_their_index(tmp_path, monkeypatch):
    from mmpretrain.registry import DATASETS
    from PIL import Image

    for split in ('train', 'val'):
        folder = tmp_path / 'imagenet' / split / 'n01440764'
        folder.mkdir(parents=True)
        for k in range(2):
            Image.new('RGB', (300, 280)).save(folder / f'{k}.png')
    monkeypatch.setenv('MMKD_DATA', str(tmp_path))
    config = load('imagenet_memory')
    preprocessor = MODELS.build(config.data_preprocessor)
    for part in ('train', 'val'):
        config[f'{part}_dataloader'].dataset.metainfo = dict(
            classes=['n01440764']
        )
        dataset = DATASETS.build(config[f'{part}_dataloader'].dataset)
        samples = [dataset[k] for k in range(2)]
        assert [s['data_samples'].sample_idx for s in samples] == [0, 1]
        batch = dict(inputs=torch.stack([s['inputs'] for s in samples]))
        assert preprocessor(batch)['inputs'].shape == (2, 3, 224, 224)


def runner_of(data, folder, name, epochs, resume=False):
    config = load(name)
    config.train_dataloader.batch_size = 40
    if name == 'cifar100_class_aware':
        config.train_dataloader.sampler.batch_size = 40
    network = dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=100, in_channels=32),
    )
    network['backbone'].update(stem_channels=4)
    config.update(
        default_scope='mmpretrain',
        model=dict(network, data_preprocessor=config.data_preprocessor),
        work_dir=str(folder),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        val_cfg=dict(),
        custom_hooks=[dict(type='mmkd.StepSeedHook')],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
        randomness=dict(seed=3),
        experiment_name=f'{folder.name}_{name}_{resume}',
        resume=resume,
    )
    for key in ('test_dataloader', 'test_evaluator'):
        config.pop(key)
    return Runner.from_cfg(config)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cifar100', 'cifar100_class_aware'])
def test_resuming_is_exact(data, name):
    whole = runner_of(data, data / 'whole', name, 2).train()
    part = runner_of(data, data / 'parts', name, 1).train()
    assert not torch.equal(part.head.fc.weight, whole.head.fc.weight)
    torch.manual_seed(99)
    resumed = runner_of(data, data / 'parts', name, 2, resume=True).train()
    assert resumed.state_dict().keys() == whole.state_dict().keys()
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
