"""Names, paths and classes of the key ``type``."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from mmkd.models.losses import KLDivLoss
from mmkd.utils.types import class_at, packages_of, registered_name, type_name


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('A', 'A'),
        ('mmseg.A', 'A'),
        ('mmseg.models.A', 'A'),
        (KLDivLoss, 'KLDivLoss'),
        (None, 'None'),
    ],
)
def test_type_name(kind: Any, name: str) -> None:
    assert type_name(kind) == name


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('A', 'A'),
        ('mmkd.KLDivLoss', 'mmkd.KLDivLoss'),
        ('mmkd.models.losses.KLDivLoss', 'mmkd.KLDivLoss'),
        ('no.such.Class', 'no.such.Class'),
        (KLDivLoss, 'mmkd.KLDivLoss'),
        (dict, 'builtins.dict'),
    ],
)
def test_registered_name(kind: Any, name: str) -> None:
    assert registered_name(kind) == name


def test_classes() -> None:
    assert class_at('mmkd.models.losses.KLDivLoss') is KLDivLoss
    assert class_at('mmkd.KLDivLoss') is None
    assert class_at(nn.Linear) is nn.Linear
    assert packages_of(KLDivLoss)[:2] == ['mmkd', 'torch']
    assert packages_of('A') == []
