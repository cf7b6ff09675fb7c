from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.necks import ConvRegressor
from mmkd.registry import MODELS


@pytest.mark.parametrize(
    ('student', 'teacher', 'kernel', 'stride', 'transposed'),
    [
        (8, 8, (1, 1), 1, False),
        (8, 4, (3, 3), 2, False),
        (4, 8, (4, 4), 2, True),
        (7, 4, (4, 4), 1, False),
        ((8, 6), (4, 3), (3, 3), 2, False),
        ((8, 6), (7, 6), (2, 1), 1, False),
    ],
)
def test_convolution(student, teacher, kernel, stride, transposed):
    config = dict(student_size=student, teacher_size=teacher)
    regressor = MODELS.build(
        dict(
            type='mmkd.ConvRegressor',
            student_channels=3,
            teacher_channels=5,
            **config,
        )
    )
    conv = regressor.conv
    assert isinstance(conv, nn.ConvTranspose2d) == transposed
    assert (conv.kernel_size, conv.stride) == (kernel, (stride, stride))
    assert conv.bias is not None
    sizes = [(s, s) if isinstance(s, int) else s for s in (student, teacher)]
    output = regressor(torch.randn(2, 3, *sizes[0]))
    assert output.shape == (2, 5, *sizes[1])
    assert output.min() == 0


def test_without_relu():
    regressor = ConvRegressor(3, 5, 4, 4, relu=False)
    assert regressor(torch.randn(2, 3, 4, 4)).min() < 0


@pytest.mark.parametrize('sizes', [(4, 7), ((8, 4), (4, 8))])
def test_no_convolution(sizes):
    with pytest.raises(ValueError, match='no convolution takes student_size'):
        ConvRegressor(3, 5, *sizes)
