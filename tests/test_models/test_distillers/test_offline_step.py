"""One step of an offline distiller, against a computation by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd.models.losses import KLDivLoss
from mmkd.networks import build_network
from mmkd.toys import toy_network

TASKS = ('classification', 'segmentation', 'pose', 'detection')


def plain_student(distiller: Any, task: str) -> nn.Module:
    """The ordinary network with the weights of the student."""
    network = build_network(toy_network(task, 4))
    network.load_state_dict(distiller.student.state_dict())
    return network.train()


def output_of(network: nn.Module, path: str, inputs: torch.Tensor) -> Any:
    seen: list[Any] = []
    handle = network.get_submodule(path).register_forward_hook(
        lambda _, args, output: seen.append(output)
    )
    with torch.no_grad():
        network(inputs, None, mode='tensor')
    handle.remove()
    return seen if len(seen) > 1 else seen[0]


def total(losses: dict[str, Any]) -> torch.Tensor:
    return sum(
        value if isinstance(value, torch.Tensor) else sum(value)
        for name, value in losses.items()
        if 'loss' in name
    )


@pytest.mark.parametrize('task', TASKS)
def test_own_losses_are_those_of_the_plain_network(
    build: Any, batch: Any, task: str
) -> None:
    """Bit for bit, with the same random numbers (dropout) and statistics."""
    distiller = build(task).train()
    plain = plain_student(distiller, task)
    data = batch(distiller, task)
    torch.manual_seed(3)
    losses = distiller(**copy.deepcopy(data), mode='loss')
    torch.manual_seed(3)
    own = plain(**data, mode='loss')
    assert losses.keys() - own.keys() <= {'loss_kd', 'loss_task'}
    for name, value in own.items():
        got = losses['loss_task' if name == 'loss' else name]
        if isinstance(value, torch.Tensor):
            assert torch.equal(got, value), name
        elif isinstance(value, (list, tuple)):
            assert all(map(torch.equal, got, value)), name
    for key, value in plain.state_dict().items():
        assert torch.equal(distiller.student.state_dict()[key], value), key


@pytest.mark.parametrize('task', TASKS)
def test_gradient_is_that_of_task_loss_plus_weighted_loss(
    build: Any, batch: Any, task: str, logits_paths: dict[str, str]
) -> None:
    weight = 0.25
    kd = dict(type='mmkd.TinyMSELoss', on='logits', loss_weight=weight)
    distiller = build(task, losses=dict(kd=kd)).train()
    plain = plain_student(distiller, task)
    data = batch(distiller, task)
    seen: list[torch.Tensor] = []
    path = logits_paths[task]
    plain.get_submodule(path).register_forward_hook(
        lambda _, args, output: seen.append(output)
    )
    torch.manual_seed(3)
    own = plain(**copy.deepcopy(data), mode='loss')
    taught = output_of(distiller.teachers[0].network, path, data['inputs'])
    taught = [taught] if isinstance(taught, torch.Tensor) else taught
    by_hand = weight * sum(
        (s - t).square().mean() for s, t in zip(seen, taught, strict=True)
    )
    (total(own) + by_hand).backward()

    torch.manual_seed(3)
    losses = distiller(**data, mode='loss')
    torch.testing.assert_close(losses['loss_kd'], by_hand)
    parsed, logged = distiller.parse_losses(losses)
    parsed.backward()
    torch.testing.assert_close(parsed, total(own) + by_hand)
    assert float(logged['loss'].detach()) == pytest.approx(float(parsed))
    gradients = dict(distiller.student.named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad)


def test_kl_by_hand(build: Any, batch: Any) -> None:
    kd = dict(
        type='mmkd.KLDivLoss', on='logits', temperature=2.0, loss_weight=0.5
    )
    distiller = build(losses=dict(kd=kd)).train()
    distiller.student.decode_head.dropout = nn.Identity()
    plain = plain_student(distiller, 'segmentation')
    plain.decode_head.dropout = nn.Identity()
    data = batch(distiller)
    path = 'decode_head.conv_seg'
    s = output_of(plain, path, data['inputs']).double()
    t = output_of(distiller.teachers[0].network, path, data['inputs'])
    p_t = (t.double() / 2).softmax(1)
    kl = p_t * (p_t.log() - (s / 2).log_softmax(1))
    by_hand = 0.5 * 4 * kl.sum(1).mean()
    loss = distiller(**data, mode='loss')['loss_kd']
    assert float(loss.detach()) == pytest.approx(float(by_hand), rel=1e-5)


def test_total_is_logged_as_loss(build: Any, batch: Any) -> None:
    """mmpretrain's head calls its own loss "loss"; it must not hide it."""
    distiller = build('classification').train()
    losses = distiller(**batch(distiller, 'classification'), mode='loss')
    assert set(losses) == {'loss_task', 'loss_kd'}
    parsed, logged = distiller.parse_losses(losses)
    expected = float(losses['loss_task'] + losses['loss_kd'])
    assert float(logged['loss']) == pytest.approx(expected)
    assert float(parsed) == pytest.approx(expected)


def test_everything_runs_once_per_step(build: Any, batch: Any) -> None:
    losses = {
        name: dict(type='mmkd.TinyMSELoss', on=on)
        for name, on in dict(a='logits', b='logits', c='feats').items()
    }
    taps = dict(
        feats='decode_head.conv_seg',
        logits='decode_head.conv_seg',
    )
    distiller = build(losses=losses, taps=taps).train()
    for loss in distiller.losses.values():
        loss.calls = 0
    calls: dict[str, int] = {}

    def count(name: str, module: nn.Module) -> None:
        module.register_forward_hook(
            lambda *_: calls.__setitem__(name, calls.get(name, 0) + 1)
        )

    teacher = distiller.teachers[0].network
    for name, network in dict(t=teacher, s=distiller.student).items():
        count(f'{name} whole', network)
        count(f'{name} backbone', network.backbone)
        count(f'{name} stem', network.backbone.conv1)
        count(f'{name} classifier', network.decode_head.conv_seg)
    optimizer = OptimWrapper(torch.optim.SGD(distiller.parameters(), lr=0.01))
    data = batch(distiller)
    distiller.data_preprocessor = nn.Identity()
    distiller.data_preprocessor.forward = lambda data, training: data
    for step in (1, 2):
        distiller.train_step(data, optimizer)
        assert set(calls.values()) == {step}
        assert len(calls) == 8
        assert [loss.calls for loss in distiller.losses.values()] == [step] * 3


# -- the teacher is frozen -------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_teacher_does_not_change(build: Any, batch: Any, task: str) -> None:
    distiller = build(task)
    teacher = distiller.teachers[0]
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    optimizer = OptimWrapper(
        torch.optim.SGD(distiller.parameters(), lr=0.1, weight_decay=0.1)
    )
    for _ in range(2):
        distiller.train()
        data = batch(distiller, task)
        losses = distiller(**data, mode='loss')
        optimizer.update_params(distiller.parse_losses(losses)[0])
    assert before.keys() == teacher.state_dict().keys()
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(module.training for module in teacher.modules())
    assert all(p.grad is None for p in teacher.parameters())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_teacher_is_nowhere_to_be_found(build: Any) -> None:
    distiller = build()
    plain = build_network(toy_network('segmentation', 4))
    assert set(distiller.state_dict()) == {
        f'student.{key}' for key in plain.state_dict()
    }
    frozen = {id(p) for p in distiller.teachers[0].parameters()}
    assert frozen
    assert frozen.isdisjoint(map(id, distiller.parameters()))
    assert frozen.isdisjoint(map(id, distiller.buffers()))
    assert all(m is not distiller.teachers[0] for m in distiller.modules())
    count = sum(p.numel() for p in plain.parameters())
    assert sum(p.numel() for p in distiller.parameters()) == count


def test_averaged_model_shares_the_teacher(build: Any, batch: Any) -> None:
    distiller = build().train()
    average = ExponentialMovingAverage(distiller)
    assert average.module.teachers[0] is distiller.teachers[0]
    assert average.module.student is not distiller.student
    keys = {f'module.{key}' for key in distiller.state_dict()}
    assert set(average.state_dict()) == {*keys, 'steps'}
    average.update_parameters(distiller)
    losses = average.module(**batch(distiller), mode='loss')
    assert losses['loss_kd'].isfinite()


def test_copy_taps_its_own_student(build: Any, batch: Any) -> None:
    distiller = build().eval()
    twin = copy.deepcopy(distiller)
    with torch.no_grad():
        twin.student.decode_head.conv_seg.weight.zero_()
        twin.student.decode_head.conv_seg.bias.zero_()
    data = batch(distiller)
    losses = twin(**copy.deepcopy(data), mode='loss')
    taught = output_of(
        distiller.teachers[0].network, 'decode_head.conv_seg', data['inputs']
    )
    by_hand = KLDivLoss()(torch.zeros_like(taught), taught)
    torch.testing.assert_close(losses['loss_kd'].detach(), by_hand)
    own = distiller(**data, mode='loss')['loss_kd'].detach()
    assert float(own) != pytest.approx(float(by_hand))


def test_teacher_moves_along(build: Any, batch: Any) -> None:
    distiller = build().double()
    teacher = distiller.teachers[0]
    assert {p.dtype for p in teacher.parameters()} == {torch.float64}
    data = batch(distiller)
    data['inputs'] = data['inputs'].double()
    assert distiller(**data, mode='loss')['loss_kd'].dtype == torch.float64
    distiller.to('meta')
    assert {p.device.type for p in teacher.parameters()} == {'meta'}
    assert {b.device.type for b in teacher.buffers()} == {'meta'}


@pytest.mark.parametrize('mode', [True, False])
def test_train_returns_self_and_leaves_the_teacher(
    build: Any, mode: bool
) -> None:
    distiller = build()
    assert distiller.train(mode) is distiller
    assert distiller.student.training is mode
    assert not any(m.training for m in distiller.teachers[0].modules())
    teacher = distiller.teachers[0]
    assert teacher.train() is teacher
    assert not any(m.training for m in teacher.modules())


def test_init_weights_leaves_the_teacher(build: Any) -> None:
    distiller = build()
    before = copy.deepcopy(distiller.teachers[0].state_dict())
    own = copy.deepcopy(distiller.student.state_dict())
    torch.manual_seed(9)
    distiller.init_weights()
    for key, value in distiller.teachers[0].state_dict().items():
        assert torch.equal(value, before[key])
    changed = [
        key
        for key, value in distiller.student.state_dict().items()
        if not torch.equal(value, own[key])
    ]
    assert 'backbone.conv1.weight' in changed


# -- evaluation ------------------------------------------------------------


@pytest.mark.parametrize('task', TASKS)
def test_evaluation_is_the_students(build: Any, batch: Any, task: str) -> None:
    distiller = build(task).eval()
    plain = plain_student(distiller, task).eval()
    with torch.no_grad():
        data = batch(distiller, task)
        ours = distiller(**copy.deepcopy(data), mode='predict')
        theirs = plain(**copy.deepcopy(data), mode='predict')
        assert repr([s.to_dict() for s in ours]) == repr(
            [s.to_dict() for s in theirs]
        )
        ours = distiller(data['inputs'], None, mode='tensor')
        theirs = plain(data['inputs'], None, mode='tensor')
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_sync_bn_conversion_keeps_taps_alive(build: Any, batch: Any) -> None:
    """A converted network has new normalisation modules."""
    from mmengine.model import revert_sync_batchnorm

    taps = dict(
        feats='backbone.layer1.0.bn1:input', logits='decode_head.conv_seg'
    )
    student = toy_network('segmentation', 4)
    student['backbone']['norm_cfg'] = dict(type='SyncBN')
    losses = dict(
        f=dict(type='mmkd.TinyMSELoss', on=dict(student=['feats', 'feats']))
    )
    distiller = build(student=student, taps=taps, losses=losses)
    distiller = revert_sync_batchnorm(distiller).train()
    losses = distiller(**batch(distiller), mode='loss')
    assert float(losses['loss_f'].detach()) == 0.0


def test_loss_of_weight_zero_is_not_computed(build: Any, batch: Any) -> None:
    losses = dict(
        on=dict(type='mmkd.TinyMSELoss', on='logits'),
        off=dict(type='mmkd.TinyMSELoss', on='logits', loss_weight=0.0),
    )
    distiller = build(losses=losses)
    found = distiller.train()(**batch(distiller), mode='loss')
    assert distiller.losses['on'].calls and not distiller.losses['off'].calls
    assert found['loss_on'] > 0 and found['loss_off'] == 0
