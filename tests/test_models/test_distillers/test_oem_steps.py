"""OEM in whole distillers: a step by hand, the stem, export, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmkd.checkpoints.export import export_deployed
from mmkd.checkpoints.read import read_checkpoint
from mmkd.networks import build_network
from mmkd.registry import MODELS
from tests.references import okd_baselines as reference
from tests.references.oem import feature_loss
from tests.support.float64 import in_float64
from tests.support.toy_cohort import batch_for
from tests.support.toy_runner import Diary, Interruption, make_runner

NETWORK = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmkd.CIFARResNet',
        depth=8,
        stem_channels=4,
        stage_channels=[4, 6, 8],
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=8, topk=(1,)),
)


def config(**changes: Any) -> dict[str, Any]:
    cohort = dict(
        type='mmkd.CompressedCohort',
        peer=dict(NETWORK, _scope_='mmpretrain'),
        num_students=3,
        **changes.pop('cohort', {}),
    )
    return dict(
        type='mmkd.OnlineDistiller',
        cohort=cohort,
        taps=dict(stages=['backbone.layer{1,2,3}'], logits='head.fc'),
        exchange=dict(
            type='mmkd.OnlineEnsembleExchange',
            on=dict(maps='stages', logits='logits'),
        ),
        task_weight=0.7,
        deploy='all',
        input_shape=(3, 32, 32),
        **changes,
    )


def build(**changes: Any) -> Any:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(config(**changes))


def test_losses_equal_those_by_hand() -> None:
    model = in_float64(build()).train()
    data = batch_for(model, num=4)
    images = data['inputs'].double()
    losses = model(images, data['data_samples'], mode='loss')
    labels = torch.cat([sample.gt_label for sample in data['data_samples']])
    stem = model.cohort[0].backbone
    start = stem.relu(stem.bn1(stem.conv1(images)))
    maps, logits = [], []
    for peer in model.cohort.peers:
        seen, x = [], start
        for stage in ('layer1', 'layer2', 'layer3'):
            x = getattr(peer.backbone, stage)(x)
            seen.append(x)
        maps.append(seen)
        logits.append(peer.head.fc(x.mean((2, 3))))
    mean = sum(logits).detach() / 3
    expected = {}
    for j, z in enumerate(logits):
        entropy = torch.nn.functional.cross_entropy(z, labels)
        expected[f'peer{j}.loss_task'] = 0.7 * entropy
        expected[f'peer{j}.loss_kd'] = 0.15 * reference.kd(z, mean, 2.0)
        if j:
            adapters = model.exchanges[0].feature_losses[j - 1].adapters
            expected[f'peer{j}.loss_feature'] = 0.15 * feature_loss(
                maps[j],
                maps[0],
                [conv.weight for conv in adapters],
                [conv.bias for conv in adapters],
            )
    assert {k for k in losses if 'loss' in k} == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('gradient', ['all', 'first'])
def test_who_trains_the_stem(gradient: str) -> None:
    model = in_float64(build(cohort=dict(stem_gradient=gradient))).train()
    data = batch_for(model, num=4)
    images = data['inputs'].double()
    losses = model(images, data['data_samples'], mode='loss')
    weight = model.cohort[0].backbone.conv1.weight
    total, _ = model.parse_losses(losses)
    (found,) = torch.autograd.grad(total, weight, retain_graph=True)
    own = sum(losses[k] for k in losses if k.startswith('peer0.'))
    (first,) = torch.autograd.grad(own, weight)
    assert torch.allclose(found, first, rtol=1e-9) == (gradient == 'first')


def test_evaluation_leaves_statistics_alone() -> None:
    model = build().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = batch_for(model, training=False)
    (sample, *_) = model(**data, mode='predict')
    names = {'peer0', 'peer1', 'peer2', 'ensemble'}
    assert set(sample.peer_samples) == names
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_adapters_learn_at_half_the_rate() -> None:
    model = build()
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='Adam', lr=1e-3),
            paramwise_cfg=dict(
                custom_keys=dict(adapters=dict(lr_mult=0.5)),
                bypass_duplicate=True,
            ),
        ),
    )
    adapters = set(model.exchanges[0].feature_losses.parameters())
    assert len(adapters) == 12
    rates = {
        p: group['lr']
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    assert rates.keys() == set(model.parameters())
    for parameter, rate in rates.items():
        assert rate == (5e-4 if parameter in adapters else 1e-3)


def train(
    folder: Path, stop: int | None = None, **options: Any
) -> dict[str, torch.Tensor]:
    runner = make_runner(
        str(folder),
        config(),
        'classification',
        steps=4,
        save_every=2,
        diary=Diary(stop),
        hooks=[dict(type='mmkd.ExportStudentHook')],
        cfg=dict(model=config()),  # as the runner of a config file has it
        **options,
    )
    if stop is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner.model.state_dict()


def test_every_student_is_exported_with_its_config(tmp_path: Path) -> None:
    """By the hook and by the tool; each loads strictly into its network."""
    state = train(tmp_path)
    written = Config(dict(model=config(), default_scope='mmpretrain'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        reports = export_deployed(
            written, tmp_path / 'iter_4.pth', tmp_path / 'tool.pth'
        )
    assert len(reports) == 3
    for k, report in enumerate(reports):
        for name in ('student', 'tool'):
            path = tmp_path / f'{name}_peer{k}.pth'
            own = Config.fromfile(path.with_suffix('.py'))
            assert own.default_scope == 'mmpretrain'
            network = build_network(own.model, own.default_scope)
            network.load_state_dict(read_checkpoint(path)['state_dict'])
            for key, value in network.state_dict().items():
                assert torch.equal(value, state[f'cohort.peers.{k}.{key}'])
        assert report.num_parameters == sum(
            p.numel() for p in network.parameters()
        )
    assert reports[0].num_parameters > 3 * reports[2].num_parameters


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    straight = train(tmp_path / 'straight')
    train(tmp_path / 'broken', 2)
    resumed = train(tmp_path / 'broken', resume=True)
    assert 'exchanges.0.feature_losses.1.adapters.2.bias' in straight
    for key, value in straight.items():
        assert torch.equal(value, resumed[key]), key
