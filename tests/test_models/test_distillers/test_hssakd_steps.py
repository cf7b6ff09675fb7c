"""HSAKD and HSSAKD: two steps of optimisation against the authors' code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd.models.losses import JointLabelLoss, KLDivLoss
from mmkd.models.views import RotationViews
from mmkd.networks import build_network
from tests.references.hssakd import (
    joint_labels,
    online_loss,
    rotated,
    student_loss,
    teacher_loss,
)
from tests.support.hssakd_golden import (
    BRANCHES,
    NETWORK,
    TAPS,
    batches,
    load,
    state_of,
)

Golden = Callable[[str, str], dict[str, np.ndarray]]

KL = dict(type='mmkd.KLDivLoss', temperature=3.0)
COMMON = dict(
    views=dict(type='mmkd.RotationViews'),
    taps=TAPS,
    aux_heads=dict(joint=BRANCHES),
    input_shape=(3, 16, 16),
)


def build(config: dict[str, Any]) -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ROOT_MODELS.build({**COMMON, **config}).train()


def pretraining(**changes: Any) -> Any:
    losses = dict(joint=dict(type='mmkd.JointLabelLoss', on='joint'))
    return build(
        dict(
            type='mmkd.OfflineDistiller',
            student=NETWORK,
            losses=losses,
            **changes,
        )
    )


def offline(teacher: dict[str, Any]) -> Any:
    return build(
        dict(
            type='mmkd.OfflineDistiller',
            student=NETWORK,
            teacher=dict(config=NETWORK, **teacher),
            losses=dict(
                kl_q=dict(on='joint', **KL), kl_p=dict(on='logits', **KL)
            ),
        )
    )


def online(**exchange: Any) -> Any:
    exchange = dict(type='mmkd.HierarchicalMutualExchange', **exchange)
    return build(
        dict(
            type='mmkd.OnlineDistiller',
            cohort=dict(peers=[NETWORK] * 2),
            exchange=exchange,
        )
    )


def saved(folder: Path, state: dict[str, torch.Tensor]) -> str:
    """Write a checkpoint of a student with its branches."""
    model = pretraining()
    load(model, state)
    torch.save(dict(state_dict=model.state_dict()), folder / 'a.pth')
    return str(folder / 'a.pth')


def run(model: Any, data: list[dict[str, Any]]) -> list[float]:
    """Take one step per batch; return the losses before each."""
    trained = [p for p in model.parameters() if p.requires_grad]
    wrapper = OptimWrapper(
        torch.optim.SGD(
            trained, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    )
    return [model.train_step(batch, wrapper)['loss'].item() for batch in data]


def check(model: Any, wanted: dict[str, torch.Tensor]) -> None:
    state = model.state_dict()
    assert wanted
    for key, value in wanted.items():
        np.testing.assert_allclose(
            state[key].numpy(), value.numpy(), rtol=2e-4, atol=2e-5
        )


def test_two_steps_offline(golden: Golden, tmp_path: Path) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    taught = state_of(case, 'teacher', 'student.', 'aux_heads.')
    model = offline(dict(checkpoint=saved(tmp_path, taught)))
    load(model, state_of(case, 'student_init', 'student.', 'aux_heads.'))
    before = {
        key: value.clone()
        for key, value in model.teachers[0].state_dict().items()
    }
    losses = run(model, batches(case))
    np.testing.assert_allclose(losses, case['losses'], rtol=1e-5)
    check(model, state_of(case, 'student_after2', 'student.', 'aux_heads.'))
    for key, value in model.teachers[0].state_dict().items():
        assert torch.equal(value, before[key])


def test_teacher_in_half_precision(golden: Golden, tmp_path: Path) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    path = saved(tmp_path, state_of(case, 'teacher', 'student.', 'aux_heads.'))
    start = state_of(case, 'student_init', 'student.', 'aux_heads.')
    losses = []
    for given in ({}, dict(dtype='bfloat16')):
        model = offline(dict(checkpoint=path, **given))
        load(model, start)
        losses.append(model(**batches(case)[0], mode='loss'))
    teacher = model.teachers[0]
    assert {p.dtype for p in teacher.parameters()} == {torch.bfloat16}
    for key, value in losses[0].items():
        assert losses[1][key].dtype == torch.float32
        torch.testing.assert_close(losses[1][key], value, rtol=0.05, atol=0.02)
    with pytest.raises(ValueError, match="dtype='int8' must be one of float1"):
        offline(dict(checkpoint=path, dtype='int8'))


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_half_precision_is_the_teachers_own(
    golden: Golden, tmp_path: Path, dtype: str
) -> None:
    """The student's autocast, another type or none, does not reach it."""
    case = golden('hssakd', 'e2e_student_2iters')
    path = saved(tmp_path, state_of(case, 'teacher', 'student.', 'aux_heads.'))
    model = offline(dict(checkpoint=path, dtype=dtype))
    images = batches(case)[0]['inputs'].repeat(4, 1, 1, 1)
    plain = model.role('teacher').observe(images)[1]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = model.role('teacher').observe(images)[1]
        model(**batches(case)[0], mode='loss')
    assert mixed['logits'].dtype == getattr(torch, dtype)
    assert torch.equal(mixed['logits'], plain['logits'])
    for one, other in zip(mixed['joint'], plain['joint'], strict=True):
        assert torch.equal(one, other)


def test_layer_norms_of_a_half_precision_teacher(tmp_path: Path) -> None:
    swin = dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=dict(type='SwinTransformer', pad_small_map=True),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=768),
    )
    network = build_network(swin)
    torch.save(network.state_dict(), tmp_path / 'swin.pth')
    model = ROOT_MODELS.build(
        dict(
            type='mmkd.OfflineDistiller',
            student=NETWORK,
            teacher=dict(
                config=swin,
                checkpoint=str(tmp_path / 'swin.pth'),
                dtype='bfloat16',
            ),
            taps=dict(logits='head.fc'),
            losses=dict(kd=dict(on='logits', **KL)),
            input_shape=(3, 64, 64),
        )
    )
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.eval()(images, mode='tensor')
    found = model.role('teacher').observe(images)[1]['logits']
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.05)


def test_peer_with_branches_as_teacher(tmp_path: Path) -> None:
    cohort = online()
    path = str(tmp_path / 'online.pth')
    torch.save(dict(state_dict=cohort.state_dict()), path)
    model = offline(dict(checkpoint=path, peer=1))
    own = cohort.aux_heads[1]['joint'].state_dict()
    taken = model.teachers[0].aux_heads['joint'].state_dict()
    assert own.keys() == taken.keys()
    assert all(torch.equal(own[key], taken[key]) for key in own)


@pytest.mark.parametrize('kind', ['pretraining', 'online'])
@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(num_classes=7), 'joint.num_classes=7, but head.num_classes=5'),
        (dict(num_rotations=2), 'num_rotations=2, but views.num_rotations=4'),
    ],
)
def test_branches_that_count_otherwise(
    kind: str, change: dict[str, Any], words: str
) -> None:
    heads = dict(joint=BRANCHES | change)
    common = dict(COMMON, aux_heads=heads)
    config = dict(
        pretraining=dict(
            type='mmkd.OfflineDistiller',
            student=NETWORK,
            losses=dict(joint=dict(type='mmkd.JointLabelLoss', on='joint')),
        ),
        online=dict(
            type='mmkd.OnlineDistiller',
            cohort=dict(peers=[NETWORK] * 2),
            exchange=dict(type='mmkd.HierarchicalMutualExchange'),
        ),
    )[kind]
    with pytest.raises(ValueError, match=words):
        build(common | config)


def test_joint_labels_of_class_logits_are_refused() -> None:
    with pytest.raises(ValueError, match='labels reach from 20 to 20'):
        JointLabelLoss()(torch.zeros(2, 5), torch.tensor([20, 20]))


def pair(student: dict[str, Any], teacher: dict[str, Any], path: str) -> Any:
    losses = dict(kl_q=dict(on='joint', **KL))
    config = dict(type='mmkd.OfflineDistiller', student=student)
    given = dict(config=teacher, checkpoint=path)
    taps = dict(stages=dict(student=TAPS['stages'], teacher=[]))
    taps['stages']['teacher'] = 'backbone.layer{1,2,3,5}'
    return build(dict(config, teacher=given, losses=losses, taps=taps))


def test_unequal_numbers_of_branches_are_refused(tmp_path: Path) -> None:
    vgg = copy.deepcopy(NETWORK)
    vgg['backbone'] = dict(type='mmkd.CIFARVGG', depth=8)
    vgg['head']['in_channels'] = 512
    losses = dict(joint=dict(type='mmkd.JointLabelLoss', on='joint'))
    source = build(
        dict(
            type='mmkd.OfflineDistiller',
            student=vgg,
            losses=losses,
            taps=dict(stages='backbone.layer{1,2,3,5}'),
        )
    )
    path = str(tmp_path / 'vgg.pth')
    torch.save(dict(state_dict=source.state_dict()), path)
    with pytest.raises(ValueError, match='3 student and 4 teacher tensors'):
        pair(NETWORK, vgg, path)


def test_teacher_without_branches_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / 'plain.pth')
    torch.save(dict(state_dict=pretraining().student.state_dict()), path)
    with pytest.raises(ValueError, match='no weights of the auxiliary head'):
        offline(dict(checkpoint=path))


def test_mixed_labels_and_oblong_images_are_refused(golden: Golden) -> None:
    from mmpretrain.structures import DataSample

    batch = batches(golden('hssakd', 'e2e_student_2iters'))[0]
    model = pretraining()
    mixed = [DataSample().set_gt_score(torch.full((5,), 0.2))] * 3
    with pytest.raises(ValueError, match='mixed labels.*Mixup or CutMix'):
        model(batch['inputs'], mixed, mode='loss')
    with pytest.raises(ValueError, match='needs square images, got 16x12'):
        model(batch['inputs'][..., :12], batch['data_samples'], mode='loss')


def test_evaluation_is_that_of_the_plain_student(golden: Golden) -> None:
    """On unrotated images; branches and views do not run."""
    batch = batches(golden('hssakd', 'e2e_student_2iters'))[0]
    model = pretraining().eval()
    ran: list[int] = []
    model.aux_heads['joint'].register_forward_hook(lambda *_: ran.append(1))
    model.student.backbone.register_forward_pre_hook(
        lambda _, args: ran.append(-len(args[0]))
    )
    samples = model(**batch, mode='predict')
    assert ran == [-3]
    plain = model.student(batch['inputs'], None, mode='tensor')
    scores = torch.stack([sample.pred_score for sample in samples])
    torch.testing.assert_close(scores, plain.softmax(1))


def images_and_labels(case: dict[str, np.ndarray]) -> tuple[Any, list[int]]:
    return torch.from_numpy(case['images']), case['target'].tolist()


def test_views_equal_rows_written_out(golden: Golden) -> None:
    images, labels = images_and_labels(golden('hssakd', 'e2e_student_2iters'))
    views, joint = RotationViews()(images, torch.tensor(labels))
    assert torch.equal(views, torch.stack(rotated(images)))
    assert joint.tolist() == joint_labels(labels)


def outputs(network: Any, branches: Any, images: torch.Tensor) -> Any:
    """Run network and branches by hand."""
    x = images
    maps = []
    for name in ('conv1', 'bn1', 'relu', 'layer1', 'layer2', 'layer3'):
        x = network.backbone.get_submodule(name)(x)
        if name.startswith('layer'):
            maps.append(x)
    return network.head.fc(x.mean((2, 3))), branches(maps)


def test_online_loss_equals_the_one_written_out(golden: Golden) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    images, labels = images_and_labels(case)
    model = online()
    views = torch.stack(rotated(images))
    peers = [
        outputs(peer, heads['joint'], views)
        for peer, heads in zip(
            model.cohort.peers, model.aux_heads, strict=True
        )
    ]
    wanted = online_loss(peers, labels)
    losses = model(**batches(case)[0], mode='loss')
    assert set(losses) == {
        f'peer{k}.loss_{name}'
        for k in range(2)
        for name in ('task', 'joint', 'kl_q', 'kl_p')
    }
    torch.testing.assert_close(sum(losses.values()), wanted)


def test_two_online_steps_move_both_peers(golden: Golden) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    model = online()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    losses = run(model, batches(case))
    assert np.isfinite(losses).all()
    after = model.state_dict()
    for peer in range(2):
        for key in ('conv1.weight', 'layer3.0.conv2.weight'):
            name = f'cohort.peers.{peer}.backbone.{key}'
            assert not torch.equal(before[name], after[name])
        name = f'aux_heads.{peer}.joint.fcs.0.weight'
        assert not torch.equal(before[name], after[name])


def test_equal_peers_do_not_pull(golden: Golden) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    model = online()
    for part in ('student', 'teacher'):
        assert any(key.startswith(part) for key in case)
    prefix = 'student_init'
    for k in range(2):
        state = state_of(case, prefix, f'cohort.peers.{k}.', f'aux_heads.{k}.')
        model.load_state_dict(state, strict=False)
    losses = model(**batches(case)[0], mode='loss')
    for k in range(2):
        assert losses[f'peer{k}.loss_kl_p'].item() == pytest.approx(
            0, abs=1e-6
        )
        assert losses[f'peer{k}.loss_kl_q'].item() == pytest.approx(
            0, abs=1e-6
        )
    model.parse_losses(losses)[0].backward()
    first, second = (peer.backbone.conv1 for peer in model.cohort.peers)
    torch.testing.assert_close(first.weight.grad, second.weight.grad)


def test_joint_pretraining_loss(golden: Golden) -> None:
    case = golden('hssakd', 'e2e_student_2iters')
    images, labels = images_and_labels(case)
    model = pretraining()
    views = torch.stack(rotated(images))
    logits, joint = outputs(model.student, model.aux_heads['joint'], views)
    losses = model(**batches(case)[0], mode='loss')
    torch.testing.assert_close(
        sum(losses.values()), teacher_loss(logits, joint, labels)
    )
    model.parse_losses(losses)[0].backward()
    assert model.student.backbone.conv1.weight.grad.abs().sum() > 0


def test_frozen_pretraining(golden: Golden, tmp_path: Path) -> None:
    """Only the branches learn; statistics stay, also after init_weights."""
    case = golden('hssakd', 'e2e_student_2iters')
    source = pretraining()
    load(source, state_of(case, 'teacher', 'student.', 'aux_heads.'))
    path = str(tmp_path / 'plain.pth')
    torch.save(dict(state_dict=source.student.state_dict()), path)
    model = pretraining(frozen_student=path)
    model.init_weights()
    heads = {k: v.clone() for k, v in model.aux_heads.state_dict().items()}
    run(model, batches(case))
    for key, value in model.student.state_dict().items():
        assert torch.equal(value, source.student.state_dict()[key]), key
    key = 'joint.branches.0.layer3.0.conv1.weight'
    assert not torch.equal(model.aux_heads.state_dict()[key], heads[key])
    assert not model.student.training
    assert model.aux_heads.training
    # what it saves is a teacher with branches
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'b.pth')
    taught = offline(dict(checkpoint=str(tmp_path / 'b.pth')))
    assert len(taught.teachers[0].aux_heads['joint'].branches) == 3


def test_frozen_student_needs_its_weights(tmp_path: Path) -> None:
    torch.save(dict(state_dict={'a': torch.ones(1)}), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='frozen_student checkpoint='):
        pretraining(frozen_student=str(tmp_path / 'a.pth'))


def tensors(case: dict[str, np.ndarray], name: str) -> Any:
    return torch.from_numpy(case[name]).requires_grad_()


def test_student_losses_equal_published_ones(golden: Golden) -> None:
    case = golden('hssakd', 'student_step')
    logits, joint = tensors(case, 'logits_s'), tensors(case, 'ss_s')
    taught = torch.from_numpy(case['logits_t'])
    given = torch.from_numpy(case['ss_t'])
    labels = torch.from_numpy(case['target'])
    divergence = KLDivLoss(3.0)
    task = torch.nn.functional.cross_entropy(logits[::4], labels)
    kl_q = divergence(list(joint), list(given))
    kl_p = divergence(logits, taught)
    assert kl_q.item() == pytest.approx(
        case['loss_kl_q_per_branch'].sum(), rel=1e-5
    )
    assert kl_p.item() == pytest.approx(float(case['loss_kl_p']), rel=1e-5)
    total = task + kl_q + kl_p
    assert total.item() == pytest.approx(float(case['loss_total']), rel=1e-5)
    total.backward()
    for value, name in ((logits, 'grad_logits_s'), (joint, 'grad_ss_s')):
        np.testing.assert_allclose(
            value.grad.numpy(), case[name], rtol=1e-4, atol=1e-6
        )
    by_hand = student_loss(
        (logits, list(joint)), (taught, list(given)), labels.tolist()
    )
    torch.testing.assert_close(by_hand, total)


def test_teacher_losses_equal_published_ones(golden: Golden) -> None:
    case = golden('hssakd', 'teacher_step')
    logits, joint = tensors(case, 'logits'), tensors(case, 'ss')
    labels = torch.from_numpy(case['target'])
    turned = torch.from_numpy(case['joint_labels'])
    total = torch.nn.functional.cross_entropy(logits[::4], labels)
    total = total + JointLabelLoss()(list(joint), turned)
    assert total.item() == pytest.approx(float(case['loss_total']), rel=1e-5)
    total.backward()
    np.testing.assert_allclose(
        joint.grad.numpy(), case['grad_ss'], rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        teacher_loss(logits, list(joint), labels.tolist()), total
    )


@pytest.mark.parametrize('index', range(3))
def test_divergence_equals_published_one(golden: Golden, index: int) -> None:
    case = golden('hssakd', 'distill_kl')
    student = tensors(case, f'case{index}_student')
    loss = KLDivLoss(float(case[f'case{index}_temperature']))(
        student, torch.from_numpy(case[f'case{index}_teacher'])
    )
    assert loss.item() == pytest.approx(
        float(case[f'case{index}_loss']), rel=1e-5
    )
    loss.backward()
    np.testing.assert_allclose(
        student.grad.numpy(),
        case[f'case{index}_grad_student'],
        rtol=1e-4,
        atol=1e-6,
    )
