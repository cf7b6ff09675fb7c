"""Where a teacher's weights come from, beside local files."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as stock
import pytest
import torch
from torch import nn

from mmkd.checkpoints import address
from mmkd.checkpoints.read import read_checkpoint
from mmkd.models.distillers.teacher import _batch_norms
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_network
from tests.support.crafted import crafted_checkpoint

TASK = 'segmentation'


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    folder = tmp_path / 'served'
    folder.mkdir()

    def handler(*args: Any) -> Quiet:
        return Quiet(*args, directory=str(folder))

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f'http://127.0.0.1:{web.server_port}'
        web.shutdown()


def teacher(**changes: Any) -> dict[str, Any]:
    return dict(dict(config=toy_network(TASK, 8)), **changes)


def same(network: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[key], state[key]) for key in own)


@pytest.mark.parametrize(
    'scheme', ['http', 'torchvision', 'open-mmlab', 'openmmlab', 'mmcls']
)
def test_weights_by_address(
    build: Any, server: Any, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    folder, url = server
    state = build_network(toy_network(TASK, 8)).state_dict()
    torch.save(dict(state_dict=state), folder / 'teacher.pth')
    link = f'{url}/teacher.pth'
    if scheme != 'http':
        names = dict(toy=link)
        for name in ('torchvision', 'external', 'mmcls'):
            monkeypatch.setattr(stock, f'get_{name}_models', lambda: names)
        monkeypatch.setitem(address._NAMES, scheme, lambda: names)
        link = f'{scheme}://toy'
    distiller = build(teacher=teacher(checkpoint=link))
    assert same(distiller.teachers[0].network, state)
    assert link in distiller.summary()
    (folder / 'teacher.pth').unlink()  # downloaded once
    assert same(
        build(teacher=teacher(checkpoint=link)).teachers[0].network, state
    )


def test_frozen_student_by_address(build: Any, server: Any) -> None:
    folder, url = server
    state = build_network(toy_network(TASK, 4)).state_dict()
    torch.save(dict(state_dict=state), folder / 'student.pth')
    head = dict(type='mmkd.TinyBranch', on='feats', in_channels=32)
    distiller = build(
        teacher=None,
        frozen_student=f'{url}/student.pth',
        aux_heads=dict(joint=dict(head, out_channels=4)),
        losses=dict(a=dict(type='mmkd.TinyOne', on='joint')),
    )
    assert same(distiller.student, state)


@MODELS.register_module(force=True)
class TinyOne(nn.Module):
    """Mean square of what it reads."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.square().mean()


def test_downloaded_file_runs_no_code(build: Any, server: Any) -> None:
    folder, url = server
    marker = folder / 'ran'
    crafted_checkpoint(folder / 'teacher.pth', marker)
    link = f'{url}/teacher.pth'
    with pytest.raises(ValueError, match='objects beside weights'):
        build(teacher=teacher(checkpoint=link))
    assert not marker.exists()


@pytest.mark.parametrize(
    ('link', 'words'),
    [
        ('{url}/none.pth', 'cannot be downloaded.*404.*put the file at'),
        ('ftp://host/a.pth', 'addresses start with https, http, torchvision'),
        ('torchvision://resnet5', 'no "resnet5" among.*nearest: resnet5'),
        ('open-mmlab://nowhere', 'there is no "nowhere" among'),
    ],
)
def test_bad_addresses(server: Any, link: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_checkpoint(link.format(url=server[1]))


# -- weights that a network starts from ------------------------------------


def test_initial_weights_are_the_same_in_every_run(build: Any) -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        distiller = build(teacher=teacher(checkpoint=None))
        states.append(distiller.teachers[0].network.state_dict())
        torch.set_rng_state(before)
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    assert 'own initial weights' in distiller.summary()
    student = build(teacher=None, losses={}).student.state_dict()
    with_teacher = distiller.student.state_dict()
    assert all(torch.equal(student[key], with_teacher[key]) for key in student)


def test_init_cfg_of_the_teacher(build: Any, tmp_path: Path) -> None:
    state = build_network(toy_network(TASK, 8)).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'start.pth')
    start = dict(type='Pretrained', checkpoint=str(tmp_path / 'start.pth'))
    spec = dict(toy_network(TASK, 8), init_cfg=start)
    distiller = build(teacher=dict(config=spec, checkpoint=None))
    assert same(distiller.teachers[0].network, state)
    start['checkpoint'] = 'none.pth'
    with pytest.raises(FileNotFoundError, match='none.pth" does not exist'):
        build(teacher=dict(config=spec, checkpoint=None))


def test_keys_of_a_teacher(build: Any) -> None:
    spec = teacher(check_point='x')
    with pytest.raises(KeyError, match='key check_point; nearest: checkpoint'):
        build(teacher=spec)
    with pytest.raises(KeyError, match='checkpoint=None in it asks for'):
        build(teacher=teacher())


@pytest.mark.slow
@pytest.mark.parametrize('role', ['teacher', 'student'])
def test_pretrained_of_timm(
    build: Any, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmengine's ``init_weights`` does not undo it."""
    timm = pytest.importorskip('timm')
    torch.manual_seed(5)
    weights = timm.create_model('resnet10t', num_classes=7).state_dict()
    torch.save(weights, tmp_path / 'timm.pth')
    file = dict(file=str(tmp_path / 'timm.pth'), num_classes=7)
    network = dict(
        type='TimmClassifier',
        _scope_='mmpretrain',
        model_name='resnet10t',
        pretrained=True,
        pretrained_cfg_overlay=file,
        num_classes=7,
    )
    plain = dict(network, pretrained=False)
    models = dict(student=plain, teacher=plain)
    models[role] = network
    distiller = build(
        'classification',
        student=models['student'],
        teacher=dict(config=models['teacher'], checkpoint=None),
        taps=dict(logits='model.fc'),
    )
    distiller.init_weights()
    found = distiller.student
    if role == 'teacher':
        found = distiller.teachers[0].network
    assert same(found, weights)


def test_batch_statistics_without_touching_the_teacher(tmp_path: Path) -> None:
    network = build_network(toy_network('classification'))
    torch.save(network.state_dict(), tmp_path / 'teacher.pth')
    distiller = MODELS.build(
        dict(
            type='mmkd.OfflineDistiller',
            student=toy_network('classification'),
            teacher=dict(
                config=toy_network('classification'),
                checkpoint=str(tmp_path / 'teacher.pth'),
                batch_statistics=True,
            ),
            taps=dict(logits='head.fc'),
            losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
        )
    )
    (teacher,) = distiller.teachers
    before = {k: v.clone() for k, v in teacher.network.state_dict().items()}
    distiller.train()
    images = torch.randn(8, 3, 32, 32) + 3
    found = teacher(images)
    network.train()
    assert torch.equal(found[-1], network(images)[-1])
    network.eval()
    assert not torch.allclose(found[-1], network(images)[-1])
    assert same(teacher.network, before)


def test_batch_statistics_need_batch_norms() -> None:
    with pytest.raises(ValueError, match='batch_statistics.*no batch norm'):
        _batch_norms(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
