"""Pruning real networks of all tasks, and while they are distilled."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.checkpoints.read import read_checkpoint
from mmkd.deploy import load_network_weights
from mmkd.networks import build_network
from mmkd.pruning import find_targets, zero_counts
from mmkd.toys import TASKS, toy_network
from tests.support.toy_cohort import cohort_config
from tests.support.toy_runner import SCOPES, Diary, Interruption, make_runner

WIDTH = 4


def hook(**options: Any) -> dict[str, Any]:
    return dict(type='mmkd.SoftFilterPruningHook', pruning_rate=0.5, **options)


def in_iterations(**options: Any) -> dict[str, Any]:
    return hook(by_epoch=False, interval=2, **options)


def check_half_is_zero(network: torch.nn.Module) -> None:
    counts = zero_counts(find_targets(network, 0.5))
    assert len(counts) == 17
    assert all(zeros == size // 2 for zeros, size in counts)


@pytest.mark.parametrize('task', TASKS)
def test_every_task(tmp_path: Path, task: str) -> None:
    pytest.importorskip(SCOPES[task])
    network = toy_network(task, WIDTH)
    make_runner(
        str(tmp_path),
        network,
        task,
        steps=4,
        hooks=[in_iterations(method='asrfp')],
        save_every=4,
    ).train()
    plain = build_network(network)
    load_network_weights(plain, tmp_path / 'iter_4.pth')
    check_half_is_zero(plain)


def distiller(task: str, folder: Path) -> dict[str, Any]:
    teacher = toy_network(task, 8)
    torch.save(
        dict(state_dict=build_network(teacher).state_dict()),
        folder / 'teacher.pth',
    )
    return dict(
        type='mmkd.OfflineDistiller',
        student=toy_network(task, WIDTH),
        teacher=dict(config=teacher, checkpoint=str(folder / 'teacher.pth')),
        taps=dict(logits='decode_head.conv_seg'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
    )


def test_the_student_of_an_offline_distiller(tmp_path: Path) -> None:
    pytest.importorskip('mmseg')
    config = distiller('segmentation', tmp_path)
    runner = make_runner(
        str(tmp_path),
        config,
        steps=4,
        hooks=[in_iterations(method='ghfp')],
        save_every=4,
    )
    teacher = runner.model.teachers[0]
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    runner.train()
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])
    saved = read_checkpoint(tmp_path / 'iter_4.pth')
    assert all(
        name.startswith('student.backbone.')
        for name in saved['mmkd_pruning']['hard']
    )
    student = build_network(toy_network('segmentation', WIDTH))
    load_network_weights(student, tmp_path / 'iter_4.pth')
    check_half_is_zero(student)


def test_the_peers_of_a_cohort(tmp_path: Path) -> None:
    pytest.importorskip('mmpretrain')
    config = cohort_config(cohort=dict(shared=['backbone.conv1']))
    runner = make_runner(
        str(tmp_path),
        config,
        'classification',
        by_epoch=True,
        steps=6,
        hooks=[hook(method='sfp')],
    )
    runner.train()
    peers = runner.model.cohort.peers
    for peer in peers:
        check_half_is_zero(peer)
    one, other = (
        (peer.backbone.layer2[0].conv1.weight.flatten(1) == 0).all(1)
        for peer in peers
    )
    assert not torch.equal(one, other)  # each chooses for itself
    deployed = build_network(toy_network('classification', WIDTH))
    load_network_weights(deployed, tmp_path / 'epoch_2.pth')
    check_half_is_zero(deployed)


@pytest.mark.slow
@pytest.mark.parametrize('stop_after', [2, 3])
def test_resuming_iterations_is_exact(tmp_path, stop_after: int) -> None:
    pytest.importorskip('mmpretrain')

    def run(name: str, **changes: Any) -> Any:
        diary = Diary(changes.pop('stop_after', None))
        runner = make_runner(
            str(tmp_path / name),
            toy_network('classification', WIDTH),
            'classification',
            steps=6,
            hooks=[in_iterations(method='ghfp', decay=dict(alpha0=0.5))],
            save_every=1,
            diary=diary,
            **changes,
        )
        with suppress(Interruption):
            runner.train()
        return runner.model.state_dict(), diary.losses

    whole, losses = run('whole')
    run('part', stop_after=stop_after)
    rest, rest_losses = run('part', resume=True)
    assert sorted(rest_losses) == list(range(stop_after, 6))
    assert all(rest_losses[k] == losses[k] for k in rest_losses)
    assert all(torch.equal(rest[name], whole[name]) for name in whole)
