"""BestPeerHook, in real runs of a model that only knows `set_best_peer`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmkd.engine.hooks import BestPeerHook
from mmkd.registry import DATASETS
from mmkd.toys import toy_classifier, toy_dataset
from tests.support.toy_runner import make_runner

METRIC = 'accuracy/top1'


class Cohort(BaseModel):
    """As little of a distiller as the hook needs."""

    def __init__(self, deploy: Any = 'best') -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.deploy = deploy
        self.register_buffer('best_peer', torch.tensor(0))

    def set_best_peer(self, index: int) -> None:
        self.best_peer.fill_(index)

    def forward(
        self, inputs: torch.Tensor, mode: str = 'tensor', **_: Any
    ) -> Any:
        value = self.linear(inputs).mean()
        return dict(loss=value) if mode == 'loss' else [value]

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        loss = self(data, mode='loss')['loss']
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

    def val_step(self, data: Any) -> Any:
        return self(data, mode='predict')


class Script(BaseMetric):
    """Gives the next of prepared metrics at every validation."""

    default_prefix = ''

    def __init__(self, script: Sequence[dict[str, float]]) -> None:
        super().__init__()
        self.script = list(script)

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return self.script.pop(0)


def validation(*peers: float, deployed: float = 0.0) -> dict[str, float]:
    found = {METRIC: deployed, 'loss_value': 1.0}
    found.update({f'peer{k}/{METRIC}': v for k, v in enumerate(peers)})
    found[f'ensemble/{METRIC}'] = 99.0
    return found


def train(
    folder: Path,
    script: Sequence[dict[str, float]],
    model: nn.Module | None = None,
    **options: Any,
) -> Runner:
    hooks = options.pop('hooks', [])
    loader = DataLoader([torch.ones(1), torch.ones(1)], batch_size=1)
    runner = Runner(
        model=model or Cohort(),
        work_dir=str(folder),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=len(script)),
        val_cfg=dict(),
        val_evaluator=[Script(script)],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', save_best=METRIC, rule='greater'
            )
        ),
        custom_hooks=[*hooks, dict(type='mmkd.BestPeerHook', **options)],
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=folder.name,
    )
    runner.train()
    return runner


def saved(folder: Path, name: str, part: str = 'state_dict') -> int:
    (path,) = folder.glob(name)
    state = torch.load(path, weights_only=False)[part]
    return int(state.get('best_peer', state.get('module.best_peer')))


def test_best_checkpoint_deploys_the_best_peer(tmp_path: Path) -> None:
    script = [
        validation(1.0, 5.0, 3.0, deployed=1.0),
        validation(2.0, 6.0, 9.0, deployed=6.0),
        validation(4.0, 7.0, 2.0, deployed=2.0),
    ]
    runner = train(tmp_path, script)
    assert int(runner.model.best_peer) == 1
    # epoch 2 has the best peer, though the deployed one was another
    assert saved(tmp_path, f'best_{METRIC.replace("/", "_")}_epoch_2.pth') == 2
    assert runner.message_hub.get_info('best_score') == 9.0


def test_logged_value_is_that_of_the_deployed_peer(tmp_path: Path) -> None:
    train(tmp_path, [validation(1.0, 5.0, deployed=1.0)])
    (path,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (logged,) = [line for line in lines if METRIC in line]
    assert logged[METRIC] == 5.0
    assert logged['loss_value'] == 1.0
    assert logged[f'peer0/{METRIC}'] == 1.0


def test_fixed_deployment_is_refused_at_the_start(tmp_path: Path) -> None:
    script = [validation(1.0, 5.0)]
    with pytest.raises(ValueError, match=r'deploy=0 is fixed; set deploy='):
        train(tmp_path, script, Cohort(deploy=0))
    assert len(script) == 1


@pytest.mark.parametrize('update_buffers', [False, True])
def test_averaged_weights_carry_the_choice(
    tmp_path: Path, update_buffers: bool
) -> None:
    ema = dict(type='EMAHook', update_buffers=update_buffers)
    runner = train(tmp_path, [validation(1.0, 5.0)], hooks=[ema])
    assert int(runner.model.best_peer) == 1
    name = f'best_{METRIC.replace("/", "_")}_epoch_1.pth'
    assert saved(tmp_path, name) == 1
    assert saved(tmp_path, name, 'ema_state_dict') == 1


@pytest.mark.parametrize(
    ('rule', 'values', 'best'),
    [
        ('greater', (3.0, 7.0, 7.0), 1),
        ('less', (3.0, 7.0, 2.0), 2),
        ('greater', (float('nan'), 1.0, 0.5), 1),
        ('less', (float('nan'), 1.0, 0.5), 2),
        ('greater', tuple(range(12)), 11),
    ],
)
def test_choice(rule: str, values: tuple[float, ...], best: int) -> None:
    hook = BestPeerHook(METRIC, rule)
    assert hook.best_peer(validation(*values)) == best


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rule='higher'"):
        BestPeerHook(METRIC, 'higher')
    with pytest.raises(KeyError, match='peer0/accuracy/top1.*mmkd.PeerMetric'):
        BestPeerHook().best_peer({METRIC: 1.0})
    with pytest.raises(ValueError, match='not a number for any of 2'):
        BestPeerHook().best_peer(validation(float('nan'), float('nan')))
    with pytest.raises(TypeError, match='Sequential.*set_best_peer'):
        hook = BestPeerHook()
        hook.before_train(type('R', (), dict(model=nn.Sequential()))())


def test_cohort_of_classifiers(tmp_path: Path) -> None:
    pytest.importorskip('mmpretrain')
    peer = toy_classifier(width=4)
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[peer, peer, peer]),
        deploy='best',
        input_shape=(3, 32, 32),
    )
    metric = dict(type='mmpretrain.Accuracy', topk=(1, 2))
    runner = make_runner(
        str(tmp_path),
        model,
        'classification',
        by_epoch=True,
        hooks=[dict(type='mmkd.BestPeerHook')],
        val_interval=1,
        val_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=toy_dataset('classification', 8, split='val'),
        ),
        val_evaluator=dict(type='mmkd.PeerMetric', metric=metric),
    )
    for index, network in enumerate(runner.model.cohort.peers):
        nn.init.zeros_(network.head.fc.weight)
        nn.init.constant_(network.head.fc.bias, 0.0)
        with torch.no_grad():  # class 0 only; peer 1: the commonest class
            network.head.fc.bias[commonest() if index == 1 else 0] = 100.0
    metrics = runner.val()
    assert metrics[f'peer1/{METRIC}'] > metrics[f'peer0/{METRIC}']
    assert runner.model.deployed is runner.model.cohort.peers[1]
    assert metrics[METRIC] == metrics[f'peer1/{METRIC}']
    assert runner.val()['accuracy/top2'] == metrics['peer1/accuracy/top2']


def commonest() -> int:
    dataset = DATASETS.build(toy_dataset('classification', 8, split='val'))
    labels = [dataset.get_data_info(i)['gt_label'] for i in range(8)]
    assert labels.count(0) < max(labels.count(k) for k in labels)
    return max(labels, key=labels.count)
