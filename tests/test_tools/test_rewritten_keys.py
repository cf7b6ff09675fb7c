"""Networks whose hooks rewrite their state dict, through all tools."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.toys import toy_dataset

pytest.importorskip('mmpretrain')
from tests.support.library_classifier import small_network  # noqa: E402

SPEC = dict(
    type='LibraryClassifier',
    _scope_='mmpretrain',
    data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3),
)
SIZE = (32, 32)
FC = dict(logits='model.fc')


def offline(**changes: Any) -> dict[str, Any]:
    return dict(
        type='mmkd.OfflineDistiller',
        student=SPEC,
        taps=FC,
        input_shape=(3, *SIZE),
        **changes,
    )


def online(**changes: Any) -> dict[str, Any]:
    return dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[SPEC, SPEC]),
        taps=FC,
        exchange=dict(type='mmkd.MutualExchange'),
        input_shape=(3, *SIZE),
        **changes,
    )


def write(folder: Path, model: Any, **changes: Any) -> Path:
    def loader(split: str) -> dict[str, Any]:
        return dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=toy_dataset('classification', 8, size=SIZE, split=split),
        )

    path = folder / f'library_{folder.name}.py'
    metric: dict[str, Any] = dict(type='Accuracy', topk=(1,))
    if 'cohort' in model:
        metric = dict(type='mmkd.PeerMetric', metric=metric)
    config = dict(
        default_scope='mmpretrain',
        model=model,
        train_dataloader=loader('train'),
        val_dataloader=loader('val'),
        test_dataloader=loader('val'),
        val_evaluator=metric,
        test_evaluator=dict(type='Accuracy', topk=(1,)),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_cfg=dict(),
        test_cfg=dict(),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
        ),
        randomness=dict(seed=0),
    )
    Config(dict(config, **changes)).dump(path)
    return path


def kd(folder: Path) -> dict[str, Any]:
    torch.manual_seed(3)
    state = build_network(SPEC).state_dict()
    torch.save(dict(state_dict=state), folder / 'teacher.pth')
    teacher = dict(config=SPEC, checkpoint=str(folder / 'teacher.pth'))
    loss = dict(type='mmkd.KLDivLoss', on='logits')
    return offline(teacher=teacher, losses=dict(kd=loss))


def mean_teacher(folder: Path) -> dict[str, Any]:
    loss = dict(type='mmkd.KLDivLoss', on='logits')
    return offline(
        teacher=dict(follow='student', momentum=0.5),
        losses=dict(kd=loss),
        deploy=dict(weights='teacher'),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ('model', 'prefix'),
    [
        (kd, 'student.'),
        (mean_teacher, 'followers.teacher.networks.0.'),
        (lambda _: online(deploy=1), 'cohort.peers.1.'),
        (lambda _: SPEC, ''),
    ],
    ids=['student', 'follower', 'peer', 'plain'],
)
def test_trained_exported_tested_resumed(
    tmp_path: Path, tool: Any, model: Any, prefix: str
) -> None:
    config = str(write(tmp_path, model(tmp_path)))
    run = tmp_path / 'run'
    tool('train').main([config, '--work-dir', str(run)])
    last = run / 'epoch_2.pth'
    saved = torch.load(last, weights_only=False)['state_dict']

    out = tmp_path / 'plain.pth'
    tool('export_student').main(
        [
            config,
            str(last),
            '--out',
            str(out),
            '--input-shape',
            '3',
            '32',
            '32',
        ]
    )
    plain = torch.load(out)['state_dict']
    library = small_network(8, 7)
    library.load_state_dict(plain, strict=True)
    for key, value in plain.items():
        assert torch.equal(saved[prefix + key], value), key

    test = [
        tool('test').main(
            [config, str(file), '--work-dir', str(tmp_path / 'test')]
        )
        for file in (last, out)
    ]
    assert test[0] == test[1]

    # from the middle, with the same end
    half = tmp_path / 'half'
    tool('train').main(
        [config, '--work-dir', str(half), '--resume', str(run / 'epoch_1.pth')]
    )
    again = torch.load(half / 'epoch_2.pth', weights_only=False)['state_dict']
    assert again.keys() == saved.keys()
    for key, value in saved.items():
        assert torch.equal(again[key], value), key


@pytest.mark.slow
@pytest.mark.parametrize('model', ['plain', 'student'])
def test_pruned(tmp_path: Path, tool: Any, model: str) -> None:
    hook = dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        pruning_rate=0.3,
        include=[r'model\.conv'],
    )
    spec = copy.deepcopy(SPEC) if model == 'plain' else kd(tmp_path)
    config = str(write(tmp_path, spec, custom_hooks=[hook]))
    run = tmp_path / 'run'
    tool('train').main([config, '--work-dir', str(run)])
    export = tool('prune_export').main(
        [
            *(config, str(run / 'epoch_2.pth')),
            *('--input-shape', '3', '32', '32', '--rounds', '0'),
        ]
    )
    assert export.compaction.max_error < 1e-4
    state = torch.load(export.folder / 'compact.pth')['state_dict']
    assert state['conv2.weight'].shape[1] < 8
    metrics = tool('test').main(
        [
            str(export.folder / 'compact_config.py'),
            str(export.folder / 'compact.pth'),
            *('--work-dir', str(tmp_path / 'test')),
        ]
    )
    assert 'accuracy/top1' in metrics


@pytest.mark.slow
@pytest.mark.parametrize('library', ['timm', 'transformers'])
def test_libraries_themselves(tmp_path: Path, tool: Any, library: str) -> None:
    pytest.importorskip(library)
    if library == 'timm':
        spec = dict(
            type='TimmClassifier',
            _scope_='mmpretrain',
            model_name='resnet10t',
            num_classes=7,
        )
        taps = dict(logits='model.fc')
    else:
        from transformers import ResNetConfig

        ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type='basic',
            num_labels=7,
        ).save_pretrained(tmp_path / 'hub')
        spec = dict(
            type='HuggingFaceClassifier',
            _scope_='mmpretrain',
            model_name=str(tmp_path / 'hub'),
        )
        taps = dict(logits='model.classifier.1')
    model = dict(
        online(deploy=1),
        cohort=dict(type='mmkd.Cohort', peers=[spec, spec]),
        taps=taps,
    )
    config = str(write(tmp_path, model))
    run, out = tmp_path / 'run', tmp_path / 'plain.pth'
    tool('train').main([config, '--work-dir', str(run)])
    tool('export_student').main(
        [
            *(config, str(run / 'epoch_2.pth'), '--out', str(out)),
            *('--input-shape', '3', '32', '32'),
        ]
    )
    own = build_network(spec)
    own.model.load_state_dict(torch.load(out)['state_dict'], strict=True)
    half = tmp_path / 'half'
    tool('train').main(
        [config, '--work-dir', str(half), '--resume', str(run / 'epoch_1.pth')]
    )
    one, two = (
        torch.load(folder / 'epoch_2.pth', weights_only=False)['state_dict']
        for folder in (run, half)
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
