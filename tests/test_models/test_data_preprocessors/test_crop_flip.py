"""Batched crops and flips, one offset and one coin per image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmkd.models.data_preprocessors.crop_flip import (
    crop_flip,
    random_crop_flip,
)


def coordinates(count, height=6, width=5):
    """Images whose pixels tell where they come from; none is zero."""
    grid = torch.arange(1, height * width + 1).view(1, 1, height, width)
    return grid.repeat(count, 1, 1, 1)


def outcomes(images, padding):
    """Every possible result of one image -> (top, left, flip)."""
    padded = F.pad(images[:1], (padding,) * 4)
    height, width = images.shape[2:]
    found = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[0, 0, top : top + height, left : left + width]
            found[tuple(crop.flatten().tolist())] = (top, left, False)
            found[tuple(crop.flip(1).flatten().tolist())] = (top, left, True)
    return found


@pytest.mark.parametrize('mode', ['constant', 'reflect'])
@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_given_draws_against_slicing(dtype, mode):
    images = torch.randint(0, 256, (7, 3, 6, 5)).to(dtype)
    top = torch.tensor([0, 1, 2, 3, 4, 0, 4])
    left = torch.tensor([4, 3, 2, 1, 0, 0, 4])
    flip = torch.tensor([True, False, True, False, True, False, True])
    result = crop_flip(images, 2, top, left, flip, mode)
    padded = F.pad(images.float(), (2,) * 4, mode).to(dtype)
    assert result.dtype == dtype
    for n in range(7):
        t, s = int(top[n]), int(left[n])
        expected = padded[n, :, t : t + 6, s : s + 5]
        if flip[n]:
            expected = expected.flip(2)
        assert torch.equal(result[n], expected)


def test_all_offsets_and_flips_are_equally_likely():
    count, padding = 20000, 2
    images = coordinates(count)
    possible = outcomes(images, padding)
    assert len(possible) == 50
    seen = [
        possible[tuple(image.flatten().tolist())]  # KeyError: impossible
        for image in random_crop_flip(images, padding)
    ]
    frequency = torch.tensor([seen.count(v) for v in possible.values()])
    expected = count / 50
    chi_square = ((frequency - expected) ** 2 / expected).sum()
    assert chi_square < 95  # 49 degrees of freedom: p = 0.0001


@pytest.mark.parametrize('flip_prob', [0.0, 0.25, 1.0])
def test_flip_probability(flip_prob):
    images = coordinates(8000)
    flipped = random_crop_flip(images, 0, flip_prob) != images
    share = flipped.flatten(1).any(1).double().mean()
    assert float(share) == pytest.approx(flip_prob, abs=0.02)


def test_draws_follow_torchs_seed_and_leave_the_input():
    images = coordinates(50)
    before = images.clone()
    torch.manual_seed(5)
    first = random_crop_flip(images)
    second = random_crop_flip(images)
    torch.manual_seed(5)
    assert torch.equal(random_crop_flip(images), first)
    assert not torch.equal(first, second)
    assert torch.equal(images, before)
