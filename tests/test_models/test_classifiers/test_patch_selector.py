"""Selection and cropping: the authors' numbers, a slow rule, mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmkd.models.classifiers import MultiScalePatchSelector, PatchSelector
from mmkd.models.classifiers.activation import (
    class_activation_map,
    class_evidence,
    standardize,
)
from mmkd.models.classifiers.patch_geometry import (
    box_iou,
    crop_windows,
    grid_boxes,
    resize_windows,
)
from tests.references import anchornet as reference

GOLDEN = Path(__file__).parents[2] / 'golden' / 'anchornet'
LISTS = ('thr030x5', 'thr050x5', 'thr_0_01_02', 'thr_dec')


def load(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as content:
        return {k: torch.from_numpy(content[k]) for k in content.files}


@pytest.mark.parametrize('name', LISTS)
@pytest.mark.parametrize('accept_top_left', [True, False])
def test_the_authors_windows(name: str, accept_top_left: bool) -> None:
    case = load('localize.npz')
    rule = 'public_code' if accept_top_left else 'rank_rule'
    limits = case[f'{name}:thresholds'].tolist()
    selector = PatchSelector(len(limits) + 1, limits, accept_top_left)
    boxes, valid = selector(case['cams'])
    counts = case[f'{name}:count_{rule}']
    assert valid.sum(1).tolist() == counts.tolist()
    wanted = case[f'{name}:boxes_{rule}']
    assert torch.where(valid[..., None], boxes, -1).tolist() == wanted.tolist()


@pytest.mark.parametrize('accept_top_left', [True, False])
@pytest.mark.parametrize('limits', [[0.0, 0.1, 0.9], [0.5, 0.2, 0.2]])
@pytest.mark.parametrize('shape', [(5, 9), (3, 2)])
def test_slow_rule_with_ties(
    accept_top_left: bool, limits: list[float], shape: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 6, (40, *shape), generator=generator).double()
    selector = PatchSelector(4, limits, accept_top_left, 31, 8)
    boxes, valid = selector(maps)
    for n, one in enumerate(maps):
        slow = reference.select(one, 4, limits, accept_top_left, 31, 8)
        assert (boxes[n].tolist(), valid[n].tolist()) == slow


def test_iou_is_the_authors() -> None:
    case = load('iou.npz')
    found = box_iou(case['box_a'], case['box_b'])
    torch.testing.assert_close(found, case['iou'], rtol=0, atol=1e-9)


def test_crops_are_the_authors() -> None:
    case = load('crop.npz')
    images = case['images_int8'].float()
    selector = PatchSelector(2, 0.55)
    boxes, valid = selector(case['cam'])
    assert boxes.tolist() == case['boxes'].tolist()
    assert bool(valid.all())
    patches = selector.crop(images, boxes)
    assert torch.equal(patches, case['patches_int8'].float())
    assert torch.equal(patches, reference.crop(images, boxes))
    assert torch.equal(
        selector.crop(images, boxes[1:, :1], torch.tensor([1])), patches[2:3]
    )
    layout = torch.channels_last
    same = selector.crop(images.contiguous(memory_format=layout), boxes)
    assert torch.equal(same, patches)
    assert same.is_contiguous(memory_format=layout)


def test_properties_of_the_choice() -> None:
    maps = torch.randn(6, 17, 17, generator=torch.Generator().manual_seed(3))
    selector = PatchSelector(4, 0.3, accept_top_left=False)
    boxes, valid = selector(maps)
    best = maps.flatten(1).argmax(1)
    assert torch.equal(boxes[:, 0], grid_boxes((17, 17), 95, 8)[best])
    overlap = box_iou(boxes[:, :, None], boxes[:, None])
    pairs = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
    assert bool(valid.all())
    assert float(overlap[:, pairs].max()) <= 0.3
    assert torch.equal(selector(maps.exp() * 3 + 1)[0], boxes)
    assert torch.equal(selector(maps[2:3])[0], boxes[2:3])
    top, _ = PatchSelector(5, 1.0, False)(maps)
    order = maps.flatten(1).argsort(1, descending=True)[:, :5]
    assert torch.equal(top, grid_boxes((17, 17), 95, 8)[order])
    single, _ = PatchSelector(1, [], False)(maps)
    assert torch.equal(single, boxes[:, :1])
    assert boxes.dtype == torch.int64
    assert not bool((boxes[..., :2] % 8).any())


def test_evidence_adds_up_to_the_logits() -> None:
    torch.manual_seed(0)
    features = torch.randn(3, 8, 5, 7, dtype=torch.float64)
    fc = torch.nn.Linear(8, 4).double()
    logits = fc(features.mean((2, 3)))
    evidence = class_evidence(features, fc.weight)
    torch.testing.assert_close(evidence.mean((2, 3)) + fc.bias, logits)
    own = logits.argmax(1)
    activation = class_activation_map(features, fc.weight, own)
    torch.testing.assert_close(activation * 8, evidence[range(3), own])


def test_scales_stand_in_one_ranking() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(5, 5, 4) * 9 + 3, torch.randn(5, 3, 2)]
    selector = MultiScalePatchSelector((31, 47), (8, 8), 4, [0.2, 0.2, 0.4])
    boxes, valid = selector(maps)
    candidates = torch.cat(
        [grid_boxes((5, 4), 31, 8), grid_boxes((3, 2), 47, 8)]
    ).tolist()
    scores = standardize(maps)
    torch.testing.assert_close(
        scores[:, :20].std(1, correction=0), torch.ones(5)
    )
    for n in range(5):
        cells = reference.visit(
            scores[n].tolist(), candidates, [0.2, 0.2, 0.4], 4, None
        )
        own = boxes[n][valid[n]].tolist()
        assert own == [candidates[cell] for cell in cells]


def test_windows_of_other_sizes_are_scaled() -> None:
    y, x = torch.meshgrid(
        torch.arange(40.0), torch.arange(50.0), indexing='ij'
    )
    image = torch.stack([y, x, y + x])[None].double()
    boxes = torch.tensor([[[4, 6, 34, 36], [0, 2, 39, 41], [1, 1, 31, 31]]])
    patches = resize_windows(image, boxes, 31)
    ramp = torch.linspace(0, 1, 31, dtype=torch.float64)
    torch.testing.assert_close(patches[1, 0, :, 3], ramp * 39)
    torch.testing.assert_close(patches[1, 1, 5], 2 + ramp * 39)
    same = crop_windows(image, boxes[:, [0, 2]], 31)
    torch.testing.assert_close(patches[[0, 2]], same)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_patches=0), r'num_patches=0.*at least 1'),
        (dict(num_patches=4, iou_thresholds=[0.3]), r'1 entries.*needs 3'),
        (dict(iou_thresholds=1.5), r'\[1\.5.*0 \(no overlap\) to 1'),
        (dict(iou_thresholds=[0.3, -1, 0.3]), r'holds \[-1\.0\]'),
        (dict(patch_size=0), r'patch_size=0'),
    ],
)
def test_mistakes_of_the_config(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchSelector(**options)


def test_mistakes_of_the_maps() -> None:
    selector = PatchSelector(4)
    with pytest.raises(ValueError, match=r'num_patches=4, but maps of 1x3'):
        selector(torch.zeros(2, 1, 3))
    with pytest.raises(ValueError, match=r'\(2, 1, 3, 3\) are not'):
        selector(torch.zeros(2, 1, 3, 3))
    broken = torch.zeros(3, 5, 5)
    broken[1, 0, 0] = float('nan')
    with pytest.raises(ValueError, match=r'images \[1\].*not finite'):
        selector(broken)
    with pytest.raises(ValueError, match=r'64x99 pixels are smaller.*95x95'):
        selector.crop(torch.zeros(1, 3, 64, 99), torch.zeros(1, 1, 4).long())
    with pytest.raises(ValueError, match=r'boxes \(2, 4\) do not fit'):
        selector.crop(torch.zeros(2, 3, 99, 99), torch.zeros(2, 4).long())
    several = MultiScalePatchSelector((31, 47), (8, 8))
    with pytest.raises(ValueError, match=r'a list of 2 maps'):
        several(broken)
    with pytest.raises(ValueError, match=r'one entry for each'):
        MultiScalePatchSelector((31, 47), (8,))
