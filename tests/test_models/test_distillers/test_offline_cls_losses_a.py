"""FitNet, AT, SP, CC, VID, RKD, PKT, AB, FT and FSP on toy networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

STUDENT, TEACHER = [4, 8, 16, 32], [8, 16, 32, 64]
STAGES = dict(student_channels=STUDENT, teacher_channels=TEACHER)
SIZES = [16, 8, 4, 2]  # of 64x64 images
TAPS = dict(
    stages='backbone.layer{1,2,3,4}',
    hint='backbone.layer2',
    last='backbone.layer4',
    equal=dict(student='backbone.layer{2,3}', teacher='backbone.layer{1,2}'),
    pooled='neck',
)
LOSSES: dict[str, dict[str, Any]] = dict(
    fitnet=dict(
        type='mmkd.FitNetLoss',
        on='hint',
        student_channels=8,
        teacher_channels=16,
        student_size=8,
        teacher_size=8,
    ),
    hint=dict(
        type='mmkd.FitNetLoss',
        on='hint',
        student_channels=8,
        teacher_channels=16,
    ),
    at=dict(type='mmkd.ATLoss', on='stages'),
    sp=dict(type='mmkd.SPLoss', on='last'),
    cc=dict(
        type='mmkd.CCLoss',
        on='pooled',
        student_channels=32,
        teacher_channels=64,
    ),
    vid=dict(type='mmkd.VIDLoss', on='stages', **STAGES),
    rkd=dict(type='mmkd.RKDLoss', on='pooled'),
    pkt=dict(type='mmkd.PKTLoss', on='pooled'),
    ab=dict(
        type='mmkd.ABLoss',
        on='stages',
        student_sizes=SIZES,
        teacher_sizes=SIZES,
        **STAGES,
    ),
    ft=dict(
        type='mmkd.FTLoss',
        on='last',
        student_channels=32,
        teacher_channels=64,
    ),
    fsp=dict(type='mmkd.FSPLoss', on='equal'),
    paraphrase=dict(
        type='mmkd.ParaphraserLoss',
        on=dict(teacher='last'),
        teacher_channels=64,
    ),
)


def train(distiller: Any, data: dict[str, Any]) -> torch.Tensor:
    """One step; everything that is trained gets a finite gradient."""
    distiller.train()
    frozen = [
        value.clone()
        for teacher in distiller.teachers
        for value in teacher.state_dict().values()
    ]
    losses = distiller(**data, mode='loss')
    total, _ = distiller.parse_losses(losses)
    total.backward()
    for name, parameter in distiller.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    after = [v for t in distiller.teachers for v in t.state_dict().values()]
    assert all(torch.equal(*pair) for pair in zip(frozen, after, strict=True))
    return losses


@pytest.mark.parametrize('name', LOSSES)
def test_one_step(build: Any, batch: Any, name: str) -> None:
    distiller = build(
        'classification',
        taps=TAPS,
        losses={name: LOSSES[name]},
        input_shape=(3, 64, 64),
    )
    losses = train(distiller, batch(distiller, 'classification', 4))
    assert losses[f'loss_{name}'].isfinite()
    assert name == 'vid' or losses[f'loss_{name}'] > 0


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('fitnet', dict(student_channels=7), 'student_channels=7, but'),
        ('cc', dict(teacher_channels=63), 'set teacher_channels=64'),
        (
            'vid',
            dict(teacher_channels=[8, 16, 32, 60]),
            r'set teacher_channels=\[8, 16, 32, 64\]',
        ),
        ('fsp', dict(on='stages'), 'differ in channels'),
    ],
)
def test_dry_run_finds_mistakes(
    build: Any, name: str, changes: dict[str, Any], message: str
) -> None:
    losses = {name: LOSSES[name] | changes}
    with pytest.raises(ValueError, match=message):
        build('classification', taps=TAPS, losses=losses)


def test_factor_transfer_in_two_phases(
    build: Any, batch: Any, tmp_path: Path
) -> None:
    first = build(
        'classification',
        taps=TAPS,
        losses=dict(paraphrase=LOSSES['paraphrase']),
    )
    path = tmp_path / 'epoch_30.pth'
    torch.save(dict(state_dict=first.state_dict()), path)
    second = build(
        'classification',
        taps=TAPS,
        losses=dict(ft=dict(LOSSES['ft'], paraphraser=str(path))),
    )
    learned = first.losses['paraphrase'].paraphraser.state_dict()
    for key, value in second.losses['ft'].paraphraser.state_dict().items():
        assert torch.equal(value, learned[key])
    train(second, batch(second, 'classification', 4))


def test_attention_for_segmentation(build: Any, batch: Any) -> None:
    feats = dict(feats='decode_head.conv_seg:input')
    loss = dict(type='mmkd.ATLoss', on='feats', pool=False, loss_weight=1e4)
    distiller = build('segmentation', taps=feats, losses=dict(at=loss))
    losses = train(distiller, batch(distiller, 'segmentation', 2))
    assert losses['loss_at'] > 0
