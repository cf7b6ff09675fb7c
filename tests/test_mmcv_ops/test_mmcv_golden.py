"""Operators equal those recorded from the compiled mmcv 2.1.0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmcv import ops
from torch import Tensor

pytestmark = pytest.mark.usefixtures('operators')
Load = Callable[[str], dict[str, Tensor]]
TOLERANCE = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture
def load(
    golden: Callable[[str, str], dict[str, np.ndarray]],
) -> Load:
    def read(name: str) -> dict[str, Tensor]:
        arrays = golden('mmcv_ops', name)
        return {key: torch.from_numpy(arrays[key]) for key in arrays}

    return read


def check_gradients(
    case: dict[str, Tensor],
    call: Callable[..., Tensor],
    names: dict[str, str],
) -> None:
    """Value of ``call`` and gradient of ``(y * w).sum()`` by its inputs."""
    leaves = [case[name].requires_grad_() for name in names]
    output = call(*leaves)
    torch.testing.assert_close(output, case['y'], **TOLERANCE)
    found = torch.autograd.grad((output * case['w']).sum(), leaves)
    for grad, name in zip(found, names.values(), strict=True):
        torch.testing.assert_close(grad, case[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('nms', {}),
        ('nms_offset1', {'offset': 1}),
        ('nms_limits', {'score_threshold': 0.3, 'max_num': 7}),
    ],
)
def test_nms(load: Load, name: str, options: dict[str, float]) -> None:
    case = load(name)
    dets, keep = ops.nms(
        case['boxes'], case['scores'], case['iou'].item(), **options
    )
    assert keep.tolist() == case['keep'].tolist()
    torch.testing.assert_close(dets, case['dets'])


def test_batched_nms(load: Load) -> None:
    case = load('batched_nms')
    dets, keep = ops.batched_nms(
        case['boxes'],
        case['scores'],
        case['ids'],
        dict(type='nms', iou_threshold=case['iou'].item()),
    )
    assert keep.tolist() == case['keep'].tolist()
    torch.testing.assert_close(dets, case['dets'])


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms(load: Load, method: str) -> None:
    case = load(f'soft_nms_{method}')
    dets, keep = ops.soft_nms(
        case['boxes'],
        case['scores'],
        case['iou'].item(),
        sigma=case['sigma'].item(),
        min_score=case['min_score'].item(),
        method=method,
    )
    assert keep.tolist() == case['keep'].tolist()
    torch.testing.assert_close(dets, case['dets'], **TOLERANCE)


@pytest.mark.parametrize('aligned', [0, 1])
@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_roi_align(load: Load, mode: str, aligned: int) -> None:
    case = load(f'roi_align_{mode}_{aligned}')

    def call(x: Tensor) -> Tensor:
        scale, ratio = case['scale'].item(), case['ratio'].item()
        rois = case['rois']
        return ops.roi_align(
            x, rois, (3, 4), scale, ratio, mode, bool(aligned)
        )

    check_gradients(case, call, {'x': 'grad'})


def test_deform_conv(load: Load) -> None:
    def call(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
        return ops.deform_conv2d(x, offset, weight, 1, 1, 1, 1, 1)

    names = ('x', 'offset', 'weight')
    check_gradients(
        load('deform_conv'), call, {name: f'grad_{name}' for name in names}
    )


def test_modulated_deform_conv(load: Load) -> None:
    def call(*tensors: Tensor) -> Tensor:
        return ops.modulated_deform_conv2d(*tensors, 1, 1, 1, 1, 1)

    names = ('x', 'offset', 'mask', 'weight', 'bias')
    check_gradients(
        load('modulated_deform_conv'),
        call,
        {name: f'grad_{name}' for name in names},
    )


def test_psa_mask(load: Load) -> None:
    mask = ops.PSAMask('collect', (7, 9))
    check_gradients(load('psamask_collect'), mask, {'x': 'grad'})
