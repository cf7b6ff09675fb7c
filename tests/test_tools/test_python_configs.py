"""Configs in pure Python, with ``read_base()`` and classes, in all tools."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.cli.config import read_config
from mmkd.networks import build_network, network_dict
from mmkd.pruning import standalone_loader

pytest.importorskip('mmpretrain')

BASE = """
from mmengine.dataset import DefaultSampler, default_collate
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from mmpretrain.datasets.transforms import PackInputs
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import (
    ClsDataPreprocessor, CrossEntropyLoss, GlobalAveragePooling,
    ImageClassifier, LinearClsHead, ResNet)
from torch.optim import SGD

from mmkd.toys.cls_dataset import SyntheticClsDataset
from mmkd.toys.loading import LoadScene

network = dict(
    type=ImageClassifier,
    backbone=dict(
        type=ResNet, depth=18, base_channels=4, stem_channels=4,
        out_indices=(3,)),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead, num_classes=7, in_channels=32,
        loss=dict(type=CrossEntropyLoss, loss_weight=1.0), topk=(1,)),
    data_preprocessor=dict(
        type=ClsDataPreprocessor, mean=[127.5] * 3, std=[64.0] * 3))
dataset = dict(
    type=SyntheticClsDataset, num_samples=56, size=(32, 32),
    pipeline=[dict(type=LoadScene), dict(type=PackInputs)])
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dataset,
    sampler=dict(type=DefaultSampler, shuffle=False),
    collate_fn=dict(type=default_collate))
val_dataloader = test_dataloader = train_dataloader
val_evaluator = test_evaluator = dict(type=Accuracy, topk=(1,))
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.01))
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
randomness = dict(seed=0)
"""
PLAIN = """
from mmengine.config import read_base

with read_base():
    from .base import *
from mmkd.engine.hooks import SoftFilterPruningHook

model = network
custom_hooks = [
    dict(type=SoftFilterPruningHook, method='sfp', pruning_rate=0.3)]
"""
OFFLINE = """
from mmengine.config import read_base

with read_base():
    from .base import *
from mmkd.models.distillers import OfflineDistiller
from mmkd.models.losses import KLDivLoss

model = dict(
    type=OfflineDistiller, student=network,
    teacher=dict(config=network, checkpoint=None),
    taps=dict(logits='head.fc'),
    losses=dict(kd=dict(type=KLDivLoss, on='logits')),
    input_shape=(3, 32, 32))
"""
ONLINE = """
from mmengine.config import read_base

with read_base():
    from .base import *
from mmkd.evaluation import PeerMetric
from mmkd.models.cohorts import Cohort
from mmkd.models.distillers import OnlineDistiller
from mmkd.models.exchanges import MutualExchange

model = dict(
    type=OnlineDistiller, cohort=dict(type=Cohort, peers=[network, network]),
    taps=dict(logits='head.fc'), exchange=dict(type=MutualExchange),
    deploy=1, input_shape=(3, 32, 32))
val_evaluator = dict(type=PeerMetric, metric=dict(type=Accuracy, topk=(1,)))
"""
KINDS = dict(plain=PLAIN, offline=OFFLINE, online=ONLINE)
SHAPE = ('--input-shape', '3', '32', '32')


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(kind: str) -> str:
        stem = f'{kind}_{tmp_path.name}'
        (tmp_path / 'base.py').write_text(BASE)
        (tmp_path / f'{stem}.py').write_text(textwrap.dedent(KINDS[kind]))
        return str(tmp_path / f'{stem}.py')

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind',
    [
        pytest.param(kind, marks=() if kind == 'online' else pytest.mark.slow)
        for kind in KINDS
    ],
)
def test_all_tools(
    write: Any, tmp_path: Path, tool: Any, capsys: Any, kind: str
) -> None:
    """With the file, and with what mmengine writes of it."""
    config, run = write(kind), tmp_path / 'run'
    tool('train').main([config, '--work-dir', str(run), '--amp'])
    last = str(run / 'epoch_1.pth')
    written = str(run / Path(config).name)
    results = []
    for number, file in enumerate((config, written)):
        out = tmp_path / f'plain{number}.pth'
        tool('export_student').main([file, last, '--out', str(out), *SHAPE])
        capsys.readouterr()
        tool('list_taps').main([file, *SHAPE])
        assert 'ImageClassifier, input' in capsys.readouterr().out
        tested = tool('test').main(
            [file, last, '--work-dir', str(tmp_path / f'test{number}')]
        )
        few = tool('few_shot_eval').main(
            [file, last, file, '--ways', '2', '--shots', '1']
            + ['--queries', '1', '--episodes', '3', '--split', 'train']
        )
        linear = tool('linear_eval').main([file, last, file, '--epochs', '1'])
        results.append((tested, few[1].mean, linear.top1))
    assert results[0] == results[1]
    tool('train').main([written, '--work-dir', str(run), '--resume'])


@pytest.mark.slow
@pytest.mark.parametrize('again', ['file', 'written'])
def test_pruned_network(
    write: Any, tmp_path: Path, tool: Any, again: str
) -> None:
    config, run = write('plain'), tmp_path / 'run'
    tool('train').main([config, '--work-dir', str(run)])
    file = config if again == 'file' else str(run / Path(config).name)
    export = tool('prune_export').main(
        [file, str(run / 'epoch_1.pth'), *SHAPE, '--rounds', '0']
    )
    folder = export.folder
    saved = torch.load(folder / 'compact.pth')['meta']['config']
    assert saved['default_scope'] == 'mmpretrain'
    assert saved['model']['type'] == 'mmpretrain.ImageClassifier'
    assert saved['model']['backbone']['type'] == 'mmpretrain.ResNet'
    assert not standalone_loader.load(folder).training
    tool('test').main(
        [
            str(folder / 'compact_config.py'),
            str(folder / 'compact.pth'),
            *('--work-dir', str(tmp_path / 'test')),
        ]
    )
    tuned = tmp_path / 'tuned'
    tool('train').main(
        [str(folder / 'compact_config.py'), '--work-dir', str(tuned)]
    )
    state = torch.load(tuned / 'epoch_1.pth', weights_only=False)
    small = torch.load(folder / 'compact.pth')['state_dict']
    shapes = {k: v.shape for k, v in state['state_dict'].items()}
    assert shapes == {k: v.shape for k, v in small.items()}


def test_scope_of_a_network_of_classes() -> None:
    from mmseg.models import EncoderDecoder

    class Mine(EncoderDecoder):
        """Of another package."""

    for kind in (EncoderDecoder, Mine, 'mmseg.models.EncoderDecoder'):
        assert network_dict(dict(type=kind))['_scope_'] == 'mmseg'
        model = network_dict(dict(type=kind), 'mmpretrain')
        assert model['_scope_'] == 'mmseg'
    named = network_dict(dict(type=Mine, _scope_='mmpose'))
    assert named['_scope_'] == 'mmpose'


def test_names_inside_a_network_of_classes() -> None:
    from mmseg.models import EncoderDecoder

    from mmkd.toys import toy_segmentor

    spec = {k: v for k, v in toy_segmentor(4).items() if k != '_scope_'}
    network = build_network(dict(spec, type=EncoderDecoder))
    assert type(network.backbone).__module__.startswith('mmseg')


def test_options_change_such_a_config(write: Any) -> None:
    config = read_config(
        write('offline'), {'model.losses.kd.loss_weight': 3.0}
    )
    assert config.model.losses.kd.loss_weight == 3.0
