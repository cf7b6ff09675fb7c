"""Losses of which no gradient reaches the network are named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkd.registry import MODELS
from mmkd.toys import toy_network
from mmkd.utils.checkpointing import not_reentrant
from tests.support.toy_cohort import batch_for, build_cohort

INSIDE = 'backbone.layer2.0.conv2'
KD = dict(type='mmkd.TinyMSELoss', on='inner')
MUTUAL = dict(
    type='mmkd.MutualExchange',
    on='inner',
    transfer_loss=dict(type='mmkd.TinyTransferLoss'),
)
TASKS = ['classification', 'segmentation', 'pose', 'detection']


def student(task: str, **changes: Any) -> dict[str, Any]:
    model = toy_network(task, 8)
    model['backbone'].update(changes)
    return model


def at(path: str, task: str = 'segmentation', **changes: Any) -> dict:
    """Distil one tensor at ``path``; the widths are equal."""
    return dict(
        student=student(task, **changes),
        taps=dict(inner=path),
        losses=dict(kd=KD),
    )


def gradients(distiller: Any, data: Any) -> dict[str, torch.Tensor]:
    distiller.zero_grad()
    torch.manual_seed(0)  # of dropout
    losses = distiller(**data, mode='loss')
    distiller.parse_losses(losses)[0].backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in distiller.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize('task', TASKS)
def test_tap_inside_a_checkpointed_block(
    build: Any, batch: Any, task: str
) -> None:
    """The gradient is that without checkpointing."""
    plain = build(task, **at(INSIDE, task)).train()
    saving = build(task, **at(INSIDE, task, with_cp=True)).train()
    saving.load_state_dict(plain.state_dict())
    data = batch(plain, task)
    wanted, found = (gradients(model, data) for model in (plain, saving))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    alone = build(task, **at(INSIDE, task)).train()
    alone.load_state_dict(plain.state_dict())
    alone.parts[0].module.loss_weight = 0.0
    without = gradients(alone, data)
    key = f'student.{INSIDE}.weight'
    assert not torch.allclose(without[key], wanted[key])


def test_peers_with_checkpointed_blocks() -> None:
    peer = student('classification', with_cp=True)
    model = build_cohort(
        peers=[peer, peer],
        taps=dict(inner=INSIDE),
        exchange=MUTUAL,
    ).train()
    assert all(role.checkpoints for role in model.peers)
    data = batch_for(model, 'classification')
    found = gradients(model, data)
    assert found[f'cohort.peers.0.{INSIDE}.weight'].abs().sum() > 0


@MODELS.register_module(force=True)
class Wrapped(nn.Module):
    """A backbone whose layer runs in one of several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.with_cp = how == 'checkpoint'
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.layer = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU())
        self.last = nn.Conv2d(16, 16, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        maps = self.stem(images)
        if self.how == 'checkpoint':  # imported, and the old form
            maps = checkpoint(self.layer, maps, use_reentrant=True)
        elif self.how == 'no_grad':
            with torch.no_grad():
                maps = self.layer(maps) + maps
        elif self.how == 'detach':
            maps = maps + self.layer(maps.detach()).detach()
        else:
            maps = self.layer(maps)
        return (self.last(maps),)


def wrapped(how: str) -> dict[str, Any]:
    model = toy_network('classification', 8)
    model['backbone'] = dict(type='mmkd.Wrapped', how=how)
    model['head']['in_channels'] = 16
    return model


def distil(build: Any, checkpoint: Any, how: str, **changes: Any) -> Any:
    teacher = wrapped('plain')
    settings = dict(
        student=wrapped(how),
        teacher=dict(config=teacher, checkpoint=checkpoint(teacher)),
        taps=dict(inner='backbone.layer.0'),
        losses=dict(kd=KD),
    )
    return build('classification', **{**settings, **changes}).train()


def test_plain_layer_has_a_gradient(
    build: Any, checkpoint: Any, batch: Any
) -> None:
    distiller = distil(build, checkpoint, 'plain')
    assert 'loss_kd' in distiller(
        **batch(distiller, 'classification'), mode='loss'
    )


@pytest.mark.parametrize(
    ('how', 'words'),
    [
        ('checkpoint', r'inside "backbone", which runs.*\(with_cp=True'),
        ('no_grad', r'under torch\.no_grad'),
    ],
)
def test_tap_without_gradient(
    build: Any, checkpoint: Any, batch: Any, how: str, words: str
) -> None:
    distiller = distil(build, checkpoint, how)
    data = batch(distiller, 'classification')
    message = (
        r'losses\.kd \(TinyMSELoss\) trains nothing: inner of the student '
        rf'\(taps\.inner="backbone\.layer\.0"\) has no grad.*{words}'
    )
    with pytest.raises(ValueError, match=message):
        distiller(**data, mode='loss')


def test_evaluation_is_not_looked_at(
    build: Any, checkpoint: Any, batch: Any
) -> None:
    distiller = distil(build, checkpoint, 'no_grad')
    data = batch(distiller, 'classification')
    with torch.no_grad():
        assert 'loss_kd' in distiller(**data, mode='loss')
    assert 'loss_kd' in distiller.eval()(**data, mode='loss')


def test_detached_result(build: Any, checkpoint: Any, batch: Any) -> None:
    """The tap's own module still learns; what comes after is detached."""
    distiller = distil(build, checkpoint, 'detach')
    data = batch(distiller, 'classification')
    found = gradients(distiller, data)
    assert found['student.backbone.layer.0.weight'].abs().sum() > 0


@pytest.mark.parametrize('key', ['frozen_modules', 'frozen_stages'])
def test_frozen_layers(build: Any, batch: Any, key: str) -> None:
    changes: dict[str, Any] = dict(at('backbone.layer1'))
    if key == 'frozen_modules':
        changes['frozen_modules'] = ['backbone']
    else:
        changes = at('backbone.layer1', frozen_stages=1)
    distiller = build(**changes).train()
    with pytest.raises(ValueError, match=r'"backbone\.layer1" is frozen'):
        distiller(**batch(distiller), mode='loss')


def test_head_on_a_frozen_layer_learns(build: Any, batch: Any) -> None:
    head = dict(type='mmkd.TinyBranch', on='inner', in_channels=16)
    distiller = build(
        **dict(
            at('backbone.layer1'),
            student=student('segmentation'),
            aux_heads=dict(joint=dict(head, out_channels=4)),
            losses=dict(size=dict(type='mmkd.TinySize', on='joint')),
            taps=dict(inner='backbone.layer2'),
            frozen_modules=['backbone'],
        )
    ).train()
    assert 'loss_size' in distiller(**batch(distiller), mode='loss')


@MODELS.register_module(force=True)
class TinySize(nn.Module):
    """Mean square of what it reads."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.square().mean()


def test_loss_of_the_teacher_alone(build: Any, batch: Any) -> None:
    """Such a loss trains a module of its own."""
    loss = dict(type='mmkd.TinySize', on=dict(teacher='logits'))
    distiller = build(losses=dict(own=loss)).train()
    assert 'loss_own' in distiller(**batch(distiller), mode='loss')


def test_peer_without_gradient() -> None:
    model = build_cohort(
        peers=[wrapped('plain'), wrapped('no_grad')],
        taps=dict(inner='backbone.layer.0'),
        exchange=MUTUAL,
    ).train()
    data = batch_for(model, 'classification')
    with pytest.raises(ValueError, match='inner of the peer1 .*no_grad'):
        model(**data, mode='loss')


def test_checkpoint_is_put_back() -> None:
    before = torch.utils.checkpoint.checkpoint
    with pytest.raises(RuntimeError, match='stop'), not_reentrant():
        assert torch.utils.checkpoint.checkpoint is not before
        raise RuntimeError('stop')
    assert torch.utils.checkpoint.checkpoint is before
