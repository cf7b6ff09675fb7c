"""Losses and heads of toy networks get the numbers of what they read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mmkd.registry import MODELS

FEATS = dict(feats='backbone.layer3')
PAIR = dict(student_channels='auto', teacher_channels='auto')
STAGES = dict(
    student_channels=[4, 8, 16, 32], teacher_channels=[8, 16, 32, 64]
)
LAST = dict(student_channels=32, teacher_channels=64)
MARGINS = dict(
    type='mmkd.BatchNormMargins',
    on='stages',
    norms=[f'layer{k}.1.bn2' for k in (1, 2, 3, 4)],
)


@pytest.mark.parametrize(
    ('loss', 'numbers', 'auto'),
    [
        (
            dict(type='mmkd.FitNetLoss', on='last'),
            dict(LAST, student_size=2, teacher_size=2),
            dict(PAIR, student_size='auto', teacher_size='auto'),
        ),
        (dict(type='mmkd.CCLoss', on='pooled'), LAST, PAIR),
        (dict(type='mmkd.VIDLoss', on='stages'), STAGES, {}),
        (
            dict(type='mmkd.ABLoss', on='stages'),
            dict(
                STAGES,
                student_sizes=[16, 8, 4, 2],
                teacher_sizes=[16, 8, 4, 2],
            ),
            dict(PAIR, student_sizes='auto', teacher_sizes='auto'),
        ),
        (
            dict(type='mmkd.FTLoss', on='last', factor_channels=12),
            LAST,
            PAIR,
        ),
        (
            dict(type='mmkd.ParaphraserLoss', on=dict(teacher='last')),
            dict(teacher_channels=64),
            {},
        ),
        (
            dict(
                type='mmkd.OFDLoss',
                on=dict(student='stages', teacher=['stages', 'margins']),
            ),
            STAGES,
            PAIR,
        ),
        (
            dict(type='mmkd.CRDLoss', on='pooled', num_samples=8),
            dict(student_dim=32, teacher_dim=64),
            {},
        ),
        (
            dict(type='mmkd.ReviewKDLoss', on='stages'),
            dict(fusion=dict(type='mmkd.ReviewFusion', **STAGES)),
            dict(fusion=dict(type='mmkd.ReviewFusion')),
        ),
    ],
)
def test_losses_are_those_with_numbers(
    build: Any, loss: Any, numbers: Any, auto: Any
) -> None:
    """Same weights; the true sizes, not those of the trial."""
    taps = dict(
        stages='backbone.layer{1,2,3,4}', last='backbone.layer4', pooled='neck'
    )
    heads = dict(margins=MARGINS) if 'OFD' in loss['type'] else {}
    states = [
        build(
            'classification',
            taps=taps,
            aux_heads=heads,
            losses=dict(x=dict(loss, **given)),
            input_shape=(3, 64, 64),
        ).state_dict()
        for given in (numbers, auto)
    ]
    assert any(key.startswith('losses.x.') for key in states[0])
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_without_optional_numbers_the_loss_means_something_else(
    build: Any,
) -> None:
    taps = dict(
        feats=dict(student='backbone.layer4', teacher='backbone.layer3')
    )
    loss = dict(type='mmkd.FitNetLoss', on='feats')
    with pytest.raises(ValueError, match='set student_channels and teacher'):
        build('classification', taps=taps, losses=dict(hint=loss))


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='mmkd.VIDLoss'),
        dict(type='mmkd.FitNetLoss', **PAIR),
    ],
)
def test_without_dry_run_numbers_must_be_given(build: Any, loss: Any) -> None:
    def make(**given: Any) -> Any:
        return build(
            'classification',
            taps=FEATS,
            losses=dict(x=dict(loss, on='feats', **given)),
            dry_run=False,
        )

    message = (
        r'^losses\.x\.student_channels is neither given nor found: .*'
        r'dry_run=False.* give student_channels as a number'
    )
    with pytest.raises(ValueError, match=message):
        make()
    loss.update(student_channels=16, teacher_channels=32)
    assert make().losses['x'].state_dict()


@MODELS.register_module(force=True)
class TinyStride(nn.Module):
    """A head with a smaller map; on the true size another one."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 3, stride=2, padding=1)

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        return self.conv(feats)


def test_sizes_of_what_a_head_gives_are_the_true_ones(build: Any) -> None:
    """Heads are tried on small maps; 224 pixels give 28 and 7 here."""
    distiller = build(
        'classification',
        taps=dict(feats='backbone.layer1', deep='backbone.layer4'),
        aux_heads=dict(low=dict(type='mmkd.TinyStride', on='feats')),
        losses=dict(
            x=dict(
                type='mmkd.FitNetLoss',
                on=dict(student='low', teacher='deep'),
                student_size='auto',
                teacher_size='auto',
                **PAIR,
            )
        ),
    )
    conv = distiller.losses['x'].regressor.conv
    assert (conv.in_channels, conv.out_channels) == (6, 64)
    assert conv.kernel_size == (22, 22)


def test_an_averaged_student_has_the_students_numbers(build: Any) -> None:
    def make(path: Any, **given: Any) -> Any:
        loss = dict(type='mmkd.VIDLoss', on='feats', **given)
        return build(
            'classification',
            teacher=dict(follow='student', momentum=0.9),
            taps=dict(feats=path),
            losses=dict(x=loss),
        )

    distiller = make('backbone.layer3')
    assert distiller.losses['x'].regressors[0][0].in_channels == 16
    apart = dict(student='backbone.layer3', teacher='backbone.layer2')
    with pytest.raises(ValueError, match='give teacher_channels'):
        make(apart)
    assert make(apart, teacher_channels=8).losses['x'].regressors
