"""Random inputs: the same results as the compiled mmcv, where there is one."""

from __future__ import annotations

from collections.abc import Callable

import mmcv._ext
import pytest
import torch
from mmcv import ops
from torch import Tensor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not mmcv._ext.__file__.endswith('.so'),
        reason='mmcv is not compiled here',
    ),
]
SEEDS = range(20)
CLOSE = dict(rtol=1e-4, atol=1e-4)
Both = Callable[[Callable[[], object]], tuple[object, object]]


@pytest.fixture
def both(request: pytest.FixtureRequest) -> Both:
    """Call a function with the compiled operators, then with ours."""
    swap = request.getfixturevalue('swap_operators')

    def call(function: Callable[[], object]) -> tuple[object, object]:
        compiled = function()
        with swap():
            return compiled, function()

    return call


def make_boxes(count: int, size: float = 40.0) -> Tensor:
    low = torch.rand(count, 2) * size
    return torch.cat([low, low + torch.rand(count, 2) * size / 2 + 0.5], 1)


def make_rois(count: int, images: int, size: float) -> Tensor:
    image = torch.randint(images, (count, 1)).float()
    return torch.cat([image, make_boxes(count, size) - 3], 1)


def value_and_gradients(
    function: Callable[..., Tensor], *inputs: Tensor
) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = function(*leaves)
    torch.manual_seed(7)
    weight = torch.randn_like(output)
    grads = torch.autograd.grad((output * weight).sum(), leaves)
    return [output.detach(), *grads]


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('offset', [0, 1])
def test_nms(both: Both, seed: int, offset: int) -> None:
    torch.manual_seed(seed)
    boxes, scores = make_boxes(300), torch.rand(300)
    threshold = 0.1 + 0.8 * torch.rand(()).item()
    want, got = both(lambda: ops.nms(boxes, scores, threshold, offset))
    assert want[1].tolist() == got[1].tolist()
    torch.testing.assert_close(got[0], want[0])


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
@pytest.mark.parametrize('offset', [0, 1])
def test_soft_nms(both: Both, seed: int, method: str, offset: int) -> None:
    torch.manual_seed(seed)
    # few distinct scores: ties must be broken in the same way
    boxes, scores = make_boxes(200), torch.randint(1, 9, (200,)) / 8
    want, got = both(
        lambda: ops.soft_nms(
            boxes, scores, 0.3, 0.5, 0.2, method=method, offset=offset
        )
    )
    assert want[1].tolist() == got[1].tolist()
    torch.testing.assert_close(got[0], want[0], **CLOSE)


@pytest.mark.parametrize('seed', SEEDS)
def test_nms_match(both: Both, seed: int) -> None:
    torch.manual_seed(seed)
    dets = torch.cat([make_boxes(200), torch.rand(200, 1)], 1)
    want, got = both(lambda: ops.nms_match(dets, 0.4))
    assert [x.tolist() for x in want] == [x.tolist() for x in got]


@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('offset', [0, 1])
def test_bbox_overlaps(
    both: Both, mode: str, aligned: bool, offset: int
) -> None:
    first, second = make_boxes(30), make_boxes(30)
    want, got = both(
        lambda: ops.bbox_overlaps(first, second, mode, aligned, offset)
    )
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 3])
def test_roi_align(
    both: Both, seed: int, mode: str, aligned: bool, ratio: int
) -> None:
    torch.manual_seed(seed)
    maps, rois = torch.randn(3, 4, 20, 24), make_rois(12, 3, 90.0)
    rois[0, 3:] = rois[0, 1:3]  # a region without extent

    def call(maps: Tensor) -> Tensor:
        return ops.roi_align(maps, rois, (5, 3), 0.25, ratio, mode, aligned)

    want, got = both(lambda: value_and_gradients(call, maps))
    torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('groups', [(1, 1), (2, 2), (1, 4)])
@pytest.mark.parametrize('geometry', [(1, 1, 1), (2, 0, 1), ((2, 1), 2, 2)])
def test_deform_conv(
    both: Both,
    seed: int,
    groups: tuple[int, int],
    geometry: tuple[object, ...],
) -> None:
    torch.manual_seed(seed)
    maps = torch.randn(2, 8, 13, 11)
    weight = torch.randn(6, 8 // groups[0], 3, 3)
    conv = torch.nn.Conv2d(8, 18 * groups[1], 3, *geometry)
    offset = conv(maps).detach() * 2

    def plain(*tensors: Tensor) -> Tensor:
        return ops.deform_conv2d(*tensors, *geometry, *groups)

    want, got = both(lambda: value_and_gradients(plain, maps, offset, weight))
    torch.testing.assert_close(got, want, **CLOSE)

    mask = torch.rand(2, 9 * groups[1], *offset.shape[2:])
    bias = torch.randn(6)

    def modulated(*tensors: Tensor) -> Tensor:
        return ops.modulated_deform_conv2d(*tensors, *geometry, *groups)

    tensors = (maps, offset, mask, weight, bias)
    want, got = both(lambda: value_and_gradients(modulated, *tensors))
    torch.testing.assert_close(got, want, **CLOSE)


def test_offsets_of_a_larger_map(both: Both) -> None:
    """DyHead gives the offsets of one level to the next smaller one."""
    maps, weight = torch.randn(2, 4, 5, 6), torch.randn(3, 4, 3, 3)
    offset, mask = torch.randn(2, 18, 10, 12), torch.rand(2, 9, 10, 12)

    def call(*tensors: Tensor) -> Tensor:
        return ops.modulated_deform_conv2d(*tensors, None, 1, 1, 1, 1, 1)

    want, got = both(
        lambda: value_and_gradients(call, maps, offset, mask, weight)
    )
    assert want[0].shape == (2, 3, 5, 6)
    torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize('kind', ['collect', 'distribute'])
@pytest.mark.parametrize('size', [(7, 9), (3, 5), (11, 13)])
def test_psa_mask(both: Both, kind: str, size: tuple[int, int]) -> None:
    masks = torch.randn(2, size[0] * size[1], 4, 5)
    mask = ops.PSAMask(kind, size)
    want, got = both(lambda: value_and_gradients(mask, masks))
    torch.testing.assert_close(got, want)
