"""Rotated views with a crop of their own."""

from __future__ import annotations

import pytest
import torch

from mmkd.models.views import CroppedRotationViews, RotationViews
from mmkd.registry import MODELS

MEAN, STD = [120.0, 110, 100], [50.0, 60, 70]


def test_every_view_is_some_crop_of_the_padded_rotation() -> None:
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6)
    layer = CroppedRotationViews(4, 2, MEAN, STD)
    views, joint = layer(images, labels)
    rotated, expected = RotationViews()(images, labels)
    assert torch.equal(joint, expected)
    black = -torch.tensor(MEAN) / torch.tensor(STD)
    padded = black[:, None, None].repeat(24, 1, 12, 12).view(24, 3, 12, 12)
    padded[..., 2:-2, 2:-2] = rotated
    offsets = []
    for view, whole in zip(views, padded, strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.allclose(
                view, whole[:, top : top + 8, left : left + 8], atol=1e-5
            )
        ]
        assert len(found) == 1
        offsets += found
    assert len({tuple(offsets[4 * n : 4 * n + 4]) for n in range(6)}) > 1
    assert any(len(set(offsets[4 * n : 4 * n + 4])) > 1 for n in range(6))


def test_without_padding_it_only_rotates() -> None:
    images, labels = torch.randn(2, 3, 6, 6), torch.tensor([1, 0])
    layer = MODELS.build(
        dict(type='mmkd.CroppedRotationViews', crop_padding=0)
    )
    for ours, plain in zip(
        layer(images, labels), RotationViews()(images, labels), strict=True
    ):
        assert torch.equal(ours, plain)
    assert layer.task_rows(2) == slice(0, 8, 4)
    assert not layer.state_dict()


@pytest.mark.parametrize('wrong', [dict(mean=MEAN), dict(crop_padding=-1)])
def test_settings(wrong: dict) -> None:
    with pytest.raises(ValueError, match='CroppedRotationViews: mean='):
        CroppedRotationViews(**wrong)
