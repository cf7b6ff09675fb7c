"""Student maps to the channels and size of the teacher's."""

from __future__ import annotations

import torch
from torch import nn

from mmkd.registry import MODELS
from mmkd.utils.shapes import check_input_channels

Size = int | tuple[int, int]


@MODELS.register_module()
class ConvRegressor(nn.Sequential):
    """One convolution (with bias), batch norm and, for hints, ReLU.

    Per direction: 3, stride 2, padding 1 where the student's map is twice as
    large; transposed, 4, stride 2, padding 1 where it is half as large; else
    unpadded of size 1 + student - teacher, which is 1x1 for equal sizes.
    Paper: https://arxiv.org/abs/1412.6550, as in the CRD benchmark.

    Args:
        student_channels: C_s.
        teacher_channels: C_t.
        student_size: H_s, or (H_s, W_s).
        teacher_size: H_t, or (H_t, W_t).
        relu: end with ReLU.

    Shape:
        input: (N, C_s, H_s, W_s).
        returns: (N, C_t, H_t, W_t).

    Raises:
        ValueError: no such convolution joins the sizes.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        student_size: Size,
        teacher_size: Size,
        relu: bool = True,
    ) -> None:
        conv = make_conv(
            student_channels,
            teacher_channels,
            as_pair(student_size),
            as_pair(teacher_size),
        )
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(teacher_channels)
        if relu:
            self.relu = nn.ReLU()


def make_conv(
    student_channels: int,
    teacher_channels: int,
    student_size: tuple[int, int],
    teacher_size: tuple[int, int],
) -> nn.Conv2d | nn.ConvTranspose2d:
    """Return the convolution of a `ConvRegressor`."""
    sizes = list(zip(student_size, teacher_size, strict=True))
    channels = student_channels, teacher_channels
    if all(s == 2 * t for s, t in sizes):
        return nn.Conv2d(*channels, 3, stride=2, padding=1)
    if all(2 * s == t for s, t in sizes):
        return nn.ConvTranspose2d(*channels, 4, stride=2, padding=1)
    if all(s >= t for s, t in sizes):
        kernel = (1 + sizes[0][0] - sizes[0][1], 1 + sizes[1][0] - sizes[1][1])
        return nn.Conv2d(*channels, kernel)
    raise ValueError(
        f'ConvRegressor: no convolution takes student_size={student_size} to '
        f'teacher_size={teacher_size}; choose taps where the student map is '
        'as large as the teacher map, larger, or half as large'
    )


def as_pair(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def forward_checked(
    owner: str,
    regressor: nn.Module,
    student: torch.Tensor,
    teacher: torch.Tensor,
) -> torch.Tensor:
    """Return the regressed student, checked against the teacher.

    Raises:
        ValueError: the regressor takes other channels, or the result has
            not the teacher's shape.
    """
    check_input_channels(owner, 'student', student, regressor)
    regressed = regressor(student)
    if regressed.shape != teacher.shape:
        raise ValueError(
            f'{owner}: the student features {tuple(student.shape)} become '
            f'{tuple(regressed.shape)}, the teacher features are '
            f'{tuple(teacher.shape)}; correct the channels and sizes of '
            'student and teacher'
        )
    return regressed
