"""Stand-ins against slow references: operators without a compiled CPU form.

roi_pool, the focal losses, carafe, deform_roi_pool, masked convolution and
multi-scale attention run only on a GPU in the compiled mmcv.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from mmcv import ops
from torch import Tensor
from torch.autograd import gradcheck

pytestmark = pytest.mark.usefixtures('stand_in')


def pool_slowly(maps: Tensor, roi: list[float], bins: tuple[int, int]):
    """Maximum over each bin of one region of one image (C, H, W)."""
    scale = 0.5
    x1, y1, x2, y2 = roi[0], roi[1], roi[2] + 1, roi[3] + 1
    x1, y1, x2, y2 = (value * scale for value in (x1, y1, x2, y2))
    pooled = maps.new_zeros(len(maps), *bins)
    for row in range(bins[0]):
        for column in range(bins[1]):
            top = np.floor(row * (y2 - y1) / bins[0] + y1)
            left = np.floor(column * (x2 - x1) / bins[1] + x1)
            down = np.ceil((row + 1) * (y2 - y1) / bins[0] + y1)
            right = np.ceil((column + 1) * (x2 - x1) / bins[1] + x1)
            part = maps[
                :, max(int(top), 0) : int(down), max(int(left), 0) : int(right)
            ]
            if part.numel():
                pooled[:, row, column] = part.amax((1, 2))
    return pooled


def test_roi_pool() -> None:
    maps = torch.randn(2, 3, 9, 11, requires_grad=True)
    rois = torch.tensor(
        [
            [0, 0.0, 0.0, 21.0, 17.0],
            [1, 3.2, 1.7, 9.9, 12.1],
            [1, -4.0, -2.0, 5.0, 30.0],  # leaves the map
            [0, 40.0, 40.0, 50.0, 50.0],  # lies outside
            [0, 9.0, 9.0, 2.0, 2.0],  # is turned inside out
        ]
    )
    pooled = ops.roi_pool(maps, rois, (3, 2), 0.5)
    want = torch.stack(
        [pool_slowly(maps[int(r[0])], r[1:].tolist(), (3, 2)) for r in rois]
    )
    want[4] = 0
    torch.testing.assert_close(pooled, want)
    weight = torch.randn_like(pooled)
    found = torch.autograd.grad((pooled * weight).sum(), maps)
    slow = torch.autograd.grad((want * weight).sum(), maps)
    torch.testing.assert_close(found, slow)


@pytest.mark.parametrize('weighted', [False, True])
def test_sigmoid_focal_loss(weighted: bool) -> None:
    logits = torch.randn(12, 4, requires_grad=True)
    target = torch.randint(5, (12,))  # 4 is background
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    loss = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, 'sum')

    p, hit = logits.sigmoid(), torch.eye(5)[target][:, :4].bool()
    slow = torch.where(
        hit,
        -0.25 * (1 - p) ** 2 * p.log(),
        -0.75 * p**2 * (1 - p).log(),
    )
    if weighted:
        slow = slow * torch.tensor([0.5, 1.0, 2.0, 3.0, 1.0])[target, None]
    torch.testing.assert_close(loss, slow.sum())
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits),
        torch.autograd.grad(slow.sum(), logits),
    )


def test_sigmoid_focal_loss_of_large_logits_is_finite() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = ops.sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize('weighted', [False, True])
def test_softmax_focal_loss(weighted: bool) -> None:
    logits = torch.randn(9, 4, requires_grad=True)
    target = torch.randint(4, (9,))
    target[3] = -1  # ignored
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    loss = ops.softmax_focal_loss(logits, target, 2.0, 0.25, weight, 'sum')

    kept = target >= 0
    p = logits.softmax(1)[kept, target[kept]]
    slow = -0.25 * (1 - p) ** 2 * p.log()
    if weighted:
        slow = slow * weight[target[kept]]
    torch.testing.assert_close(loss, slow.sum())
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits),
        torch.autograd.grad(slow.sum(), logits),
    )


def test_carafe() -> None:
    maps = torch.randn(2, 4, 3, 5, dtype=torch.double)
    masks = torch.randn(2, 2 * 9, 6, 10, dtype=torch.double)
    output = ops.carafe(maps, masks, 3, 2, 2)
    padded = torch.nn.functional.pad(maps, [1] * 4)
    want = torch.zeros(2, 4, 6, 10, dtype=torch.double)
    for c in range(4):
        for y in range(6):
            for x in range(10):
                around = padded[:, c, y // 2 : y // 2 + 3, x // 2 : x // 2 + 3]
                first = c // 2 * 9
                kernel = masks[:, first : first + 9, y, x].view(2, 3, 3)
                want[:, c, y, x] = (around * kernel).sum((1, 2))
    torch.testing.assert_close(output, want)
    torch.testing.assert_close(ops.carafe_naive(maps, masks, 3, 2, 2), want)

    def call(maps: Tensor, masks: Tensor) -> Tensor:
        return ops.carafe(maps, masks, 3, 2, 2)

    inputs = (maps[:1].requires_grad_(), masks[:1].requires_grad_())
    assert gradcheck(call, inputs)


@pytest.mark.parametrize('ratio', [0, 2])
def test_deform_roi_pool_without_offsets_is_roi_align(ratio: int) -> None:
    maps = torch.randn(2, 3, 12, 12, requires_grad=True)
    rois = torch.tensor([[0, 4.0, 6.0, 30.0, 40.0], [1, 9.0, 2.0, 19.0, 7.0]])
    pooled = ops.deform_roi_pool(maps, rois, None, (3, 2), 0.25, ratio)
    aligned = ops.roi_align(maps, rois, (3, 2), 0.25, ratio, 'avg', True)
    torch.testing.assert_close(pooled, aligned)
    weight = torch.randn_like(pooled)
    torch.testing.assert_close(
        torch.autograd.grad((pooled * weight).sum(), maps),
        torch.autograd.grad((aligned * weight).sum(), maps),
    )


def test_deform_roi_pool_shifts_bins() -> None:
    ramp = torch.arange(12.0)
    maps = torch.stack([ramp[:, None].expand(12, 12), ramp.expand(12, 12)])
    rois = torch.tensor([[0, 2.5, 3.5, 6.5, 5.5]])  # 4 wide, 2 high
    offset = torch.zeros(1, 2, 1, 1)
    offset[0, :, 0, 0] = torch.tensor([2.0, 5.0])  # x, y
    plain = ops.deform_roi_pool(maps[None], rois, None, (1, 1), 1.0, 2, 0.1)
    shifted = ops.deform_roi_pool(
        maps[None], rois, offset, (1, 1), 1.0, 2, 0.1
    )
    moved = (shifted - plain).flatten()
    torch.testing.assert_close(moved, torch.tensor([0.1 * 2 * 5, 0.1 * 4 * 2]))


def test_deform_roi_pool_gradients() -> None:
    maps = torch.randn(1, 2, 8, 8, dtype=torch.double, requires_grad=True)
    rois = torch.tensor([[0, 4.1, 5.2, 21.3, 25.4]], dtype=torch.double)
    offset = torch.randn(1, 2, 2, 2, dtype=torch.double, requires_grad=True)

    def call(maps: Tensor, offset: Tensor) -> Tensor:
        return ops.deform_roi_pool(maps, rois, offset, (2, 2), 0.25, 2, 0.1)

    assert gradcheck(call, (maps, offset))


def test_masked_convolution() -> None:
    conv = ops.MaskedConv2d(3, 5, 3, padding=1)
    conv.eval()
    maps = torch.randn(1, 3, 6, 7)
    mask = (torch.rand(1, 6, 7) > 0.5).float()
    with torch.no_grad():
        full = torch.nn.functional.conv2d(
            maps, conv.weight, conv.bias, padding=1
        )
        torch.testing.assert_close(conv(maps, mask), full * mask)


def test_multi_scale_attention(stand_in: ModuleType) -> None:
    shapes = torch.tensor([[5, 4], [3, 2]])
    starts = torch.tensor([0, 20])
    value = torch.randn(2, 26, 2, 3, requires_grad=True)
    locations = torch.rand(2, 7, 2, 2, 4, 2, requires_grad=True)
    weights = torch.rand(2, 7, 2, 2, 4, requires_grad=True)
    module = ops.multi_scale_deform_attn
    output = module.MultiScaleDeformableAttnFunction.apply(
        value, shapes, starts, locations, weights, 64
    )
    plain = module.multi_scale_deformable_attn_pytorch(
        value, shapes, locations, weights
    )
    torch.testing.assert_close(output, plain)
    factor, leaves = torch.randn_like(output), (value, locations, weights)
    torch.testing.assert_close(
        torch.autograd.grad((output * factor).sum(), leaves),
        torch.autograd.grad((plain * factor).sum(), leaves),
    )


def test_gradient_of_the_weight_alone() -> None:
    conv = ops.DeformConv2d(2, 3, 3, padding=1)
    maps, offset = torch.randn(1, 2, 6, 6), torch.randn(1, 18, 6, 6)
    conv(maps, offset).square().sum().backward()
    alone = conv.weight.grad.clone()
    conv.zero_grad()
    conv(maps.requires_grad_(), offset).square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, alone)
    assert alone.abs().sum() > 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype: torch.dtype) -> None:
    maps = torch.randn(1, 4, 10, 10)
    pack = ops.ModulatedDeformConv2dPack(4, 4, 3, padding=1)
    torch.nn.init.normal_(pack.conv_offset.weight, std=0.3)
    rois = torch.tensor([[0, 1.0, 2.0, 7.0, 8.0]])

    def run(maps: Tensor) -> Tensor:
        features = pack(maps)
        # heads give regions in the type of the features
        return ops.roi_align(features, rois.to(features), (3, 3))

    want = run(maps)
    with torch.autocast('cpu', dtype=dtype):
        got = run(maps)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0.05, atol=0.05)
    got.sum().backward()
    assert torch.isfinite(pack.weight.grad).all()


def test_no_boxes_at_all() -> None:
    boxes, scores = torch.zeros(0, 4), torch.zeros(0)
    assert ops.nms(boxes, scores, 0.5)[1].tolist() == []
    assert ops.soft_nms(boxes, scores)[1].tolist() == []
    assert ops.nms_match(torch.zeros(0, 5), 0.5) == []
    maps = torch.randn(1, 2, 5, 5, requires_grad=True)
    for pooled in (
        ops.roi_align(maps, torch.zeros(0, 5), 3, 1.0, 0, 'avg', True),
        ops.roi_align(maps, torch.zeros(0, 5), 3, 1.0, 0, 'max', True),
        ops.roi_pool(maps, torch.zeros(0, 5), 3),
    ):
        assert pooled.shape == (0, 2, 3, 3)
        (grad,) = torch.autograd.grad(pooled.sum(), maps)
        assert grad.abs().sum() == 0


def test_unknown_operator_says_how_to_get_it(stand_in: ModuleType) -> None:
    boxes = torch.tensor([[5.0, 5.0, 4.0, 4.0, 0.1]])
    with pytest.raises(
        NotImplementedError,
        match=r"'box_iou_rotated' has no stand-in.*--compiled-ops",
    ) as caught:
        ops.box_iou_rotated(boxes, boxes)
    assert '\n' not in str(caught.value)
    assert not hasattr(stand_in, '__path__')


def test_compiler_is_told(stand_in: ModuleType) -> None:
    assert 'mmkd-mmcv-ops' in ops.get_compiler_version()
    assert 'torchvision' in ops.get_compiling_cuda_version()
