"""NST, CRD, SSKD, DKD, ReviewKD and OFD by name on toy networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.toys import toy_classifier

STUDENT, TEACHER = [4, 8, 16, 32], [8, 16, 32, 64]
STAGES = 'backbone.layer{1,2,3,4}'
TAPS = dict(
    stages=STAGES,
    review=[STAGES, 'neck'],
    pooled='neck',
    logits='head.fc',
)
CRD = dict(
    type='mmkd.CRDLoss',
    on='pooled',
    student_dim=32,
    teacher_dim=64,
    num_samples=8,
    feat_dim=8,
    num_negatives=3,
)
VIEWS = dict(type='mmkd.RotationViews', num_rotations=4)


def embed_head(width: int) -> dict[str, Any]:
    return dict(type='mmkd.EmbeddingMLP', on='pooled', in_channels=width)


LOSSES = dict(
    nst=dict(type='mmkd.NSTLoss', on='stages'),
    dkd=dict(type='mmkd.DKDLoss', on='logits'),
    crd=CRD,
    review=dict(
        type='mmkd.ReviewKDLoss',
        on='review',
        fusion=dict(
            type='mmkd.ReviewFusion',
            student_channels=[*STUDENT, 32],
            teacher_channels=[*TEACHER, 64],
        ),
    ),
    ofd=dict(
        type='mmkd.OFDLoss',
        on=dict(student='stages', teacher=['stages', 'margins']),
        student_channels=STUDENT,
        teacher_channels=TEACHER,
        loss_weight=1e-3,
    ),
)
MARGINS = dict(
    type='mmkd.BatchNormMargins',
    on='stages',
    norms=[f'layer{k}.1.bn2' for k in range(1, 5)],
)


def aux_heads(name: str) -> dict[str, Any]:
    return dict(margins=MARGINS) if name == 'ofd' else {}


def step(distiller: Any, data: dict[str, Any]) -> dict[str, torch.Tensor]:
    """One training step; every trained parameter gets a gradient."""
    distiller.train()
    frozen = [
        parameter.clone()
        for teacher in distiller.teachers
        for parameter in teacher.state_dict().values()
    ]
    losses = distiller(**data, mode='loss')
    distiller.parse_losses(losses)[0].backward()
    for name, parameter in distiller.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    after = [p for t in distiller.teachers for p in t.state_dict().values()]
    assert all(torch.equal(*pair) for pair in zip(frozen, after, strict=True))
    return losses


@pytest.mark.parametrize('name', LOSSES)
def test_one_step(build: Any, batch: Any, name: str) -> None:
    distiller = build(
        'classification',
        taps=TAPS,
        aux_heads=aux_heads(name),
        losses={name: LOSSES[name]},
    )
    values = step(distiller, batch(distiller, 'classification', 4))
    assert values[f'loss_{name}'].isfinite()
    assert values[f'loss_{name}'] > 0


def test_warm_up_is_that_of_the_run(build: Any, batch: Any) -> None:
    """Outside a runner the epoch is the first, of 20."""
    values = [
        build(
            'classification',
            taps=TAPS,
            losses=dict(dkd=dict(LOSSES['dkd'], warmup_epochs=warmup)),
        )
        for warmup in (20, 0)
    ]
    data = batch(values[0], 'classification', 4)
    early, full = (d.eval()(**data, mode='loss')['loss_dkd'] for d in values)
    torch.testing.assert_close(early, full / 20)


def test_crd_counts_the_samples(build: Any, batch: Any) -> None:
    distiller = build('classification', taps=TAPS, losses=dict(crd=CRD))
    loss = distiller.losses['crd']
    assert loss.z_student == 0  # the rehearsal left no trace
    loss.set_dataset_labels(torch.arange(8) % 4, torch.device('cpu'))
    before = loss.memory_student.clone()
    data = batch(distiller, 'classification', 4)
    index = [s.metainfo['sample_idx'] for s in data['data_samples']]
    step(distiller, data)
    changed = (loss.memory_student != before).any(1).nonzero()[:, 0]
    assert changed.tolist() == sorted(index)
    assert loss.z_student > 0
    kept = distiller.state_dict()
    assert 'losses.crd.memory_teacher' in kept
    assert 'losses.crd.z_teacher' in kept


def test_crd_of_a_smaller_data_set(build: Any, batch: Any) -> None:
    losses = dict(crd=dict(CRD, num_samples=2))
    distiller = build('classification', taps=TAPS, losses=losses)
    data = batch(distiller, 'classification', 4)
    with pytest.raises(ValueError, match='num_samples=2; set num_samples to'):
        distiller(**data, mode='loss')


@pytest.fixture
def sskd_teacher(build: Any, batch: Any, tmp_path: Path) -> dict[str, Any]:
    """First phase: a network with its head, trained to match rotations."""
    alone = build(
        'classification',
        student=toy_classifier(8),
        teacher=None,
        views=VIEWS,
        taps=TAPS,
        aux_heads=dict(embeds_t=embed_head(64)),
        losses=dict(match=dict(type='mmkd.RotatedMatchLoss', on='embeds_t')),
    )
    step(alone, batch(alone, 'classification', 4))
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=alone.state_dict()), path)
    return dict(config=toy_classifier(8), checkpoint=str(path))


def test_sskd_in_two_phases(
    build: Any, batch: Any, sskd_teacher: dict[str, Any]
) -> None:
    distiller = build(
        'classification',
        teacher=sskd_teacher,
        views=VIEWS,
        taps=TAPS,
        aux_heads=dict(embeds_s=embed_head(32), embeds_t=embed_head(64)),
        losses=dict(
            sskd=dict(
                type='mmkd.SSKDLoss',
                on=dict(
                    student=['logits', 'embeds_s'],
                    teacher=['logits', 'embeds_t'],
                ),
            )
        ),
    )
    assert set(distiller.aux_heads) == {'embeds_s'}
    values = step(distiller, batch(distiller, 'classification', 4))
    names = {'loss_task', 'loss_kd', 'loss_tf', 'loss_ss'}
    assert names <= set(values)
