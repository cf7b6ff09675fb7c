"""Cohorts through the tools: train with a user's exchange, export, test."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmkd.checkpoints.export import export_student
from mmkd.checkpoints.verify import raw_outputs
from mmkd.checkpoints.whole import hash_file
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import TASKS, toy_batch, toy_dataset, toy_network

LOGITS = dict(
    classification='head.fc',
    segmentation='decode_head.conv_seg',
    pose='head.final_layer',
    detection='bbox_head.conv_cls',
)
SCOPES = dict(
    classification='mmpretrain',
    segmentation='mmseg',
    pose='mmpose',
    detection='mmdet',
)
EXCHANGE = """
from mmkd.models.exchanges import Exchange, Transfer
from mmkd.registry import MODELS


@MODELS.register_module(force=True)
class FollowTheMean(Exchange):
    auxiliary_names = ('mean',)

    def auxiliary(self, peers, batch):
        return dict(mean=sum(p['logits'] for p in peers) / len(peers))

    def transfers(self, peers, aux, batch):
        return [Transfer(k, aux['mean']) for k in range(len(peers))]
"""


@pytest.fixture
def cohort(tmp_path, _isolated_runs, monkeypatch):
    """Config of two classifiers and a user's exchange."""
    pytest.importorskip('mmpretrain')
    name = f'exchange_of_{tmp_path.name}'
    (tmp_path / f'{name}.py').write_text(EXCHANGE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    def loader(split):
        data = toy_dataset('classification', 6, size=(32, 32), split=split)
        sampler = dict(type='DefaultSampler', shuffle=False)
        return dict(batch_size=3, num_workers=0, sampler=sampler, dataset=data)

    metric = dict(
        type='mmkd.PeerMetric', metric=dict(type='Accuracy', topk=(1,))
    )
    config = dict(
        default_scope='mmpretrain',
        custom_imports=dict(imports=[name], allow_failed_imports=False),
        model=dict(
            type='mmkd.OnlineDistiller',
            cohort=dict(
                type='mmkd.Cohort',
                peers=[toy_network('classification', 4)] * 2,
                shared=['stem', 'stage1'],
            ),
            taps=dict(logits='head.fc'),
            exchange=dict(type='mmkd.FollowTheMean', ramp_epochs=2),
            deploy='best',
            input_shape=(3, 32, 32),
        ),
        train_dataloader=loader('train'),
        val_dataloader=loader('val'),
        test_dataloader=loader('val'),
        val_evaluator=metric,
        test_evaluator=metric,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(),
        test_cfg=dict(),
        custom_hooks=[dict(type='mmkd.BestPeerHook', rule='less')],
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        randomness=dict(seed=0),
    )
    path = tmp_path / f'cohort_{tmp_path.name}.py'
    Config(config).dump(path)
    return SimpleNamespace(
        path=path, folder=tmp_path, checkpoint=tmp_path / 'run/epoch_2.pth'
    )


@pytest.fixture
def trained(cohort, tool):
    tool('train').main(
        [str(cohort.path), '--work-dir', str(cohort.folder / 'run')]
    )
    return cohort


def test_train_log_and_metrics(trained):
    (log,) = (trained.folder / 'run').glob('*/vis_data/scalars.json')
    text = log.read_text()
    for key in ('peer1.loss_kd', 'mean.loss_task', '"ramp"'):
        assert key in text
    for name in ('peer0', 'peer1', 'mean', 'ensemble', 'peers_mean'):
        assert f'"{name}/accuracy/top1"' in text


def test_a_deployed_classifier_is_tested_with_its_peers(trained, tool):
    main = tool('test').main
    given = [str(trained.path), str(trained.checkpoint)]
    options = ['model.deploy=mean', 'custom_hooks=[]']
    every = main([*given, '--cfg-options', *options])
    assert every['accuracy/top1'] == every['mean/accuracy/top1']
    # Of one peer, whose config has a hook that chooses among all.
    assert list(main([*given, '--peer', '1'])) == ['accuracy/top1']


def save_changed(saved, path):
    torch.save(saved, path)
    hash_file(path).unlink()  # it is of the file as it was


@pytest.mark.parametrize('peer', [None, 0, -1])
def test_any_peer_is_plain_mmpretrain(trained, tool, peer):
    state = torch.load(trained.checkpoint, weights_only=False)['state_dict']
    if peer is None:
        state['deployed_peer'].fill_(1)
        saved = torch.load(trained.checkpoint, weights_only=False)
        saved['state_dict'] = state
        save_changed(saved, trained.checkpoint)
    index = 0 if peer == 0 else 1
    options = [] if peer is None else ['--peer', str(peer)]
    report = tool('export_student').main(
        [str(trained.path), str(trained.checkpoint), *options]
    )
    plain = torch.load(report.path, weights_only=True)['state_dict']
    network = build_network(toy_network('classification', 4))
    network.load_state_dict(plain, strict=True)
    prefix = f'cohort.peers.{index}.'
    assert {f'{prefix}{key}' for key in plain} == {
        key for key in state if key.startswith(prefix)
    }
    for key, value in plain.items():
        assert torch.equal(value, state[prefix + key]), key


def test_export_of_an_auxiliary_classifier_is_refused(
    trained, tool, error_line
):
    saved = torch.load(trained.checkpoint, weights_only=False)
    saved['state_dict']['deployed_peer'].fill_(-1)
    save_changed(saved, trained.checkpoint)
    line = error_line(
        tool('export_student').main, trained.path, trained.checkpoint
    )
    assert 'no network of its own: say which peer you want (--peer' in line
    line = error_line(
        tool('export_student').main,
        trained.path,
        trained.checkpoint,
        '--peer=2',
    )
    assert 'cohort.peers has 2 networks: give an index from 0 to 1' in line


@pytest.mark.parametrize('task', TASKS)
def test_exports_of_all_tasks_give_equal_outputs(task, tmp_path):
    """Strictly loaded into the plain network of the repository."""
    pytest.importorskip(SCOPES[task])
    exchange = dict(type='mmkd.MutualExchange')
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(
            type='mmkd.Cohort',
            peers=[toy_network(task, 4)] * 2,
            shared=['stem', 'stage1'],
        ),
        taps=dict(logits=LOGITS[task]),
        exchange=exchange,
        dry_run=False,
    )
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        distiller = MODELS.build(model).train()
        batch = distiller.data_preprocessor(toy_batch(task, 2, (64, 64)), True)
        with torch.no_grad():
            distiller(**batch, mode='loss')  # moves running statistics
        checkpoint = tmp_path / 'cohort.pth'
        torch.save(dict(state_dict=distiller.state_dict()), checkpoint)
        config = Config(dict(model=model, default_scope=SCOPES[task]))
        report = export_student(
            config,
            checkpoint,
            tmp_path / 'peer.pth',
            peer=1,
            input_shape=(3, 64, 64),
        )
        network = build_network(toy_network(task, 4)).eval()
    plain = torch.load(report.path, weights_only=True)['state_dict']
    network.load_state_dict(plain, strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = raw_outputs(distiller.cohort[1].eval(), images)
        found = raw_outputs(network, images)
    for one, two in zip(wanted, found, strict=True):
        assert torch.equal(one, two)


def test_wrong_configs_give_one_line(cohort, tool, error_line):
    train = tool('train').main
    line = error_line(train, cohort.path, '--cfg-options', 'model.deploy=7')
    assert 'deploy=7: the cohort has 2 peers' in line
