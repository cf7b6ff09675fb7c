"""Numbers that the rehearsal sees are filled into heads and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.distillers.filling import fill
from mmkd.registry import MODELS

SHAPES = dict(
    student=torch.Size((2, 8, 16, 16)),
    teacher=[torch.Size((2, 16, 16, 12)), torch.Size((2, 32, 8, 8))],
)
FEATS = dict(feats='backbone.layer3')
PAIR = dict(student_channels='auto', teacher_channels='auto')


def seen(**shapes: Any) -> Any:
    return lambda side: shapes.get(side)


def filled(kind: Any, shapes: Any = SHAPES, **given: Any) -> dict[str, Any]:
    found = fill('losses.x', dict(type=kind, **given), seen(**shapes))
    assert found.pop('type') is kind
    return found


class Required:
    def __init__(
        self,
        student_channels: int,
        student_size: int | tuple[int, int],
        teacher_channels: Sequence[int],
        teacher_sizes: Sequence[int | tuple[int, int]],
        in_channels: int | None = None,
    ) -> None: ...


class Single:
    def __init__(
        self, teacher_channels: int, student_dim: int = 4
    ) -> None: ...


class Several:
    def __init__(self, student_channels: list[int] | int) -> None: ...


class Head:
    def __init__(self, in_channels, num_classes) -> None:  # type: ignore
        ...


class Loose:
    def __init__(self, **kwargs: Any) -> None: ...


class Holder:
    def __init__(
        self, fusion: Any = None, conv_cfg: Any = None, net: Any = None
    ) -> None: ...


def test_required_arguments_of_both_sides() -> None:
    assert filled(Required) == dict(
        student_channels=8,
        student_size=16,
        teacher_channels=[16, 32],
        teacher_sizes=[(16, 12), 8],
    )


def test_given_numbers_stay() -> None:
    given = dict(
        student_channels=8,
        student_size=3,  # sizes are tried by the rehearsal
        teacher_channels=(16, 32),
        teacher_sizes=[1, 2],
        in_channels=None,
    )
    assert filled(Required, **given) == given


def test_optional_ones_are_filled_in_where_the_config_says_so() -> None:
    shapes = dict(student=(2, 5), teacher=torch.Size((2, 7)))
    shapes['student'] = torch.Size(shapes['student'])
    assert filled(Single, shapes) == dict(teacher_channels=7)
    found = filled(Single, shapes, student_dim='auto')
    assert found == dict(teacher_channels=7, student_dim=5)
    assert filled(Single, shapes, student_dim=None)['student_dim'] is None


def test_one_map_or_a_list_as_the_argument_takes_it() -> None:
    one = torch.Size((2, 9, 4, 4))
    assert filled(Several, dict(student=one)) == dict(student_channels=[9])
    assert filled(Single, dict(teacher=[one])) == dict(teacher_channels=9)
    found = filled(Loose, dict(student=[one]), student_channels='auto')
    assert found == dict(student_channels=[9])  # unknown: as it is read
    with pytest.raises(ValueError, match='teacher_channels is one number, '):
        filled(Single, SHAPES)


def test_classes_and_input_of_a_head() -> None:
    config = dict(type=Head, on='feats')
    shapes = seen(**{'in': torch.Size((2, 6, 3, 3))})
    found = fill('aux_heads.x', config, shapes, classes=10)
    assert found == dict(config, in_channels=6, num_classes=10)
    assert config == dict(type=Head, on='feats')


def test_nested_modules_but_no_layers() -> None:
    conv = dict(type=nn.Conv2d)  # completed by who builds it
    found = filled(
        Holder, fusion=dict(type=Several), conv_cfg=conv, net=dict(a=1)
    )
    assert found == dict(
        fusion=dict(type=Several, student_channels=[8]),
        conv_cfg=conv,
        net=dict(a=1),
    )
    wrong = dict(type=Several, student_channels=[7])
    with pytest.raises(ValueError, match=r'x\.fusion\.student_channels=\[7'):
        filled(Holder, fusion=wrong)


def test_contradictions() -> None:
    tokens = dict(student=torch.Size((2, 197, 768)))
    assert filled(Several, tokens, student_channels=768)  # of either order
    flat = filled(Several, student_channels=8 * 16 * 16)
    assert flat == dict(student_channels=2048)
    message = (
        r'^losses\.x\.student_channels=7, but what it reads is '
        r'\(2, 8, 16, 16\): set student_channels=8, leave it out'
    )
    with pytest.raises(ValueError, match=message):
        filled(Several, student_channels=7)
    with pytest.raises(ValueError, match=r'set teacher_channels=\[16, 32\]'):
        filled(Loose, teacher_channels=[16, 31])


@pytest.mark.parametrize(
    ('shapes', 'given', 'message'),
    [
        ({}, {}, 'is neither given nor found.* give student_channels'),
        (
            dict(student=torch.Size((2, 197, 768))),
            {},
            r'cannot be read off \(2, 197, 768\); give student_channels',
        ),
        (
            dict(student=torch.Size((2, 8))),
            dict(student_channels=8, student_size='auto'),
            r'student_size cannot be read off \(2, 8\)',
        ),
    ],
)
def test_what_cannot_be_filled_in(
    shapes: Any, given: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        filled(Required, shapes, **given)


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
            ('student_size', 'teacher_size', *LAST),
        ),
        (dict(type='mmkd.CCLoss', on='pooled'), LAST, LAST),
        (dict(type='mmkd.VIDLoss', on='stages'), STAGES, ()),
        (
            dict(type='mmkd.ABLoss', on='stages'),
            dict(
                STAGES,
                student_sizes=[16, 8, 4, 2],
                teacher_sizes=[16, 8, 4, 2],
            ),
            ('student_sizes', 'teacher_sizes', *STAGES),
        ),
        (
            dict(type='mmkd.FTLoss', on='last', factor_channels=12),
            LAST,
            LAST,
        ),
        (
            dict(type='mmkd.ParaphraserLoss', on=dict(teacher='last')),
            dict(teacher_channels=64),
            (),
        ),
        (
            dict(
                type='mmkd.OFDLoss',
                on=dict(student='stages', teacher=['stages', 'margins']),
            ),
            STAGES,
            STAGES,
        ),
        (
            dict(type='mmkd.CRDLoss', on='pooled', num_samples=8),
            dict(student_dim=32, teacher_dim=64),
            (),
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
    if not isinstance(auto, dict) or auto is LAST or auto is STAGES:
        auto = dict.fromkeys(auto, 'auto')
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
