"""Views and auxiliary heads, with and without a teacher."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.networks import build_network
from mmkd.toys import OBJECTS, toy_classifier

TURNS = 4
JOINT = dict(
    type='mmkd.TinyBranch',
    on='feats',
    in_channels=32,
    out_channels=TURNS * len(OBJECTS),
)
TAUGHT = dict(type='mmkd.KLDivLoss', temperature=3.0)


def views_config(**changes: Any) -> dict[str, Any]:
    return {
        **dict(
            teacher=None,
            views=dict(type='mmkd.RotationViews', num_rotations=TURNS),
            aux_heads=dict(joint=JOINT),
            losses=dict(joint=dict(type='mmkd.TinyJointLoss', on='joint')),
        ),
        **changes,
    }


@pytest.fixture
def alone(build: Any) -> Any:
    """A distiller without teacher, with views and an auxiliary head."""
    return build('classification', **views_config())


@pytest.fixture
def taught(build: Any, alone: Any, tmp_path: Path) -> Any:
    """One whose teacher, with its head, was trained as ``alone`` is."""
    path = tmp_path / 'alone.pth'
    torch.save(dict(state_dict=alone.state_dict()), path)
    teacher = dict(config=toy_classifier(4), checkpoint=str(path))
    losses = dict(kl_q=dict(on='joint', **TAUGHT))
    losses['kl_p'] = dict(on='logits', **TAUGHT)
    return build(
        'classification', **views_config(teacher=teacher, losses=losses)
    )


def test_task_loss_is_that_of_the_unrotated_rows(
    alone: Any, batch: Any
) -> None:
    """The head reads the rows' features of the run on all views."""
    data = batch(alone, 'classification', 3)
    plain = build_network(toy_classifier(4))
    plain.load_state_dict(alone.student.state_dict())
    alone.train()
    plain.train()
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    views, joint = alone.views(data['inputs'], labels)
    feats = plain.extract_feat(views)
    rows = tuple(feat[::TURNS] for feat in feats)
    own = plain.head.loss(rows, data['data_samples'])
    losses = alone(**data, mode='loss')
    assert torch.equal(losses['loss_task'], own['loss'])
    branch = alone.aux_heads['joint']
    maps = plain.backbone(views)[-1]
    by_hand = nn.functional.cross_entropy(branch(maps), joint)
    torch.testing.assert_close(losses['loss_joint'], by_hand)


def test_backbone_runs_once_on_all_views(alone: Any, batch: Any) -> None:
    rows: dict[str, list[int]] = {}

    def watch(name: str) -> None:
        rows[name] = []
        alone.student.get_submodule(name).register_forward_pre_hook(
            lambda _, args: rows[name].append(len(args[0]))
        )

    for name in ('backbone', 'backbone.conv1', 'neck', 'head.fc'):
        watch(name)
    data = batch(alone, 'classification', 2)
    alone(**data, mode='loss')
    assert rows['backbone'] == rows['backbone.conv1'] == [2 * TURNS]
    assert len(rows['neck']) == 1
    assert rows['head.fc'] == [2 * TURNS, 2]


def test_taps_see_all_rows(taught: Any, batch: Any) -> None:
    seen: dict[str, Any] = {}
    for name, loss in taught.losses.items():
        loss.register_forward_pre_hook(
            lambda _, args, key=name: seen.__setitem__(
                key, [tuple(tensor.shape) for tensor in args]
            )
        )
    taught(**batch(taught, 'classification', 2), mode='loss')
    rows = 2 * TURNS
    assert seen['kl_p'] == [(rows, len(OBJECTS))] * 2
    assert seen['kl_q'] == [(rows, TURNS * len(OBJECTS))] * 2


def test_extract_feat_is_put_back(alone: Any, batch: Any) -> None:
    data = batch(alone, 'classification', 2)
    alone(**copy.deepcopy(data), mode='loss')
    assert 'extract_feat' not in vars(alone.student)
    alone.student.head.loss = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        alone(**data, mode='loss')
    assert 'extract_feat' not in vars(alone.student)
    assert not any(m._forward_hooks for m in alone.student.modules())


def test_evaluation_shows_no_views(alone: Any, batch: Any) -> None:
    data = batch(alone, 'classification', 2)
    alone.eval()
    assert alone(data['inputs'], None, mode='tensor').shape[0] == 2
    assert len(alone(**data, mode='predict')) == 2


def test_what_is_saved(alone: Any, taught: Any) -> None:
    plain = build_network(toy_classifier(4))
    wanted = {f'student.{key}' for key in plain.state_dict()}
    wanted |= {'aux_heads.joint.fc.weight', 'aux_heads.joint.fc.bias'}
    assert set(alone.state_dict()) == set(taught.state_dict()) == wanted
    exported = {
        key.removeprefix('student.'): value
        for key, value in taught.state_dict().items()
        if key.startswith('student.')
    }
    plain.load_state_dict(exported, strict=True)


def test_teachers_head_is_loaded_and_frozen(
    alone: Any, taught: Any, batch: Any
) -> None:
    head = taught.teachers[0].aux_heads['joint']
    assert torch.equal(head.fc.weight, alone.aux_heads['joint'].fc.weight)
    own = taught.aux_heads['joint']
    assert own is not head
    assert not head.fc.weight.requires_grad
    taught.train()
    assert own.training
    assert not head.training
    losses = taught(**batch(taught, 'classification'), mode='loss')
    taught.parse_losses(losses)[0].backward()
    assert own.fc.weight.grad.abs().sum() > 0
    assert head.fc.weight.grad is None


def test_equal_weights_have_nothing_to_learn(taught: Any, batch: Any) -> None:
    taught.load_state_dict(
        {
            **{
                f'student.{k}': v
                for k, v in taught.teachers[0].network.state_dict().items()
            },
            **{
                f'aux_heads.{k}': v
                for k, v in taught.teachers[0].aux_heads.state_dict().items()
            },
        }
    )
    taught.eval()
    losses = taught(**batch(taught, 'classification'), mode='loss')
    for name in ('loss_kl_p', 'loss_kl_q'):
        assert float(losses[name].detach()) == pytest.approx(0, abs=1e-6)


def test_teacher_without_head(build: Any, teacher_of: Any) -> None:
    losses = dict(kl_q=dict(on='joint', **TAUGHT))
    with pytest.raises(ValueError, match='no weights of the auxiliary head "'):
        build(
            'classification',
            **views_config(
                teacher=teacher_of('classification', 4), losses=losses
            ),
        )


def test_teacher_with_a_head_of_other_form(
    build: Any, alone: Any, tmp_path: Path
) -> None:
    torch.save(dict(state_dict=alone.state_dict()), tmp_path / 'a.pth')
    teacher = dict(
        config=toy_classifier(4), checkpoint=str(tmp_path / 'a.pth')
    )
    config = views_config(
        teacher=teacher,
        losses=dict(kl_q=dict(on='joint', **TAUGHT)),
        aux_heads=dict(joint=dict(JOINT, out_channels=7)),
    )
    with pytest.raises(ValueError, match='head "joint" is of other form'):
        build('classification', **config)


def test_head_on_a_head(build: Any, batch: Any) -> None:
    """An auxiliary head may read another one."""
    from mmkd.registry import MODELS

    @MODELS.register_module(force=True)
    class TinySum(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    heads = dict(
        total=dict(type='mmkd.TinySum', on=['one', 'two']),
        one=JOINT,
        two=JOINT,
    )
    losses = dict(joint=dict(type='mmkd.TinyJointLoss', on='total'))
    distiller = build(
        'classification', **views_config(aux_heads=heads, losses=losses)
    )
    values = distiller(**batch(distiller, 'classification'), mode='loss')
    values['loss_joint'].backward()
    for name in ('one', 'two'):
        assert distiller.aux_heads[name].fc.weight.grad is not None


def test_views_of_a_segmentor_are_refused(build: Any, batch: Any) -> None:
    distiller = build(
        views=dict(type='mmkd.RotationViews'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
    )
    with pytest.raises(ValueError, match='one class label per image'):
        distiller(**batch(distiller), mode='loss')
