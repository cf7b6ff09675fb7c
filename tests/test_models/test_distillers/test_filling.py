"""Numbers that the rehearsal sees are filled into heads and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.distillers.filling import fill

SHAPES = dict(
    student=torch.Size((2, 8, 16, 16)),
    teacher=[torch.Size((2, 16, 16, 12)), torch.Size((2, 32, 8, 8))],
)


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
    def __init__(self, student_channels: list[int]) -> None: ...


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
