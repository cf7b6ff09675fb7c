"""Counter-measures against shortcuts of puzzles."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd.datasets import JigsawShuffle
from mmkd.datasets.transforms.patch_disguise import PatchDisguise


def image(kind=np.uint8):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 12, 3)).astype(kind)


def test_off_by_default():
    assert not PatchDisguise().active
    unchanged = PatchDisguise()(image(), (2, 2), np.random.default_rng(0))
    assert np.array_equal(unchanged, image())


@pytest.mark.parametrize('channels', [1, 3])
def test_gap_hides_margins(channels):
    """With a bright frame of 1 pixel around every patch, a gap of 2 can
    drop it on two, three or all sides, and never adds anything new."""
    patch = np.full((6, 6, channels), 10, np.uint8)
    patch[1:-1, 1:-1] = 200
    whole = np.tile(patch, (2, 2, 1)).squeeze()
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        changed = PatchDisguise(gap=2)(whole, (2, 2), generator)
        assert changed.shape == whole.shape
        assert changed.dtype == whole.dtype
        seen.add(int((changed < 200).sum()))
    assert len(seen) > 5
    assert max(seen) < (whole < 200).sum() * 1.5


def test_colour_factors_belong_to_patches():
    flat = np.full((4, 4, 3), 100.0, np.float32)
    changed = PatchDisguise(color_jitter=0.5)(
        flat, (2, 2), np.random.default_rng(0)
    )
    patches = changed.reshape(2, 2, 2, 2, 3).transpose(0, 2, 1, 3, 4)
    assert np.ptp(patches, axis=(2, 3)).max() == 0
    assert len(np.unique(changed)) == 12
    assert 50 <= changed.min() <= changed.max() <= 150


def test_colour_stays_in_range():
    white = np.full((4, 4, 3), 255, np.uint8)
    disguise = PatchDisguise(color_jitter=1.0)
    generator = np.random.default_rng(0)
    values = [disguise(white, (2, 2), generator) for _ in range(5)]
    # clipped at white instead of wrapping round to black
    assert (np.stack(values) == 255).mean() == pytest.approx(0.5, abs=0.2)


def test_gray():
    changed = PatchDisguise(gray_prob=1.0)(
        image(), (2, 2), np.random.default_rng(0)
    )
    assert np.array_equal(changed[..., 0], changed[..., 2])
    expected = image().mean(2)
    assert np.abs(changed[..., 0] - expected).max() < 1


def test_the_original_is_not_touched():
    before = image()
    disguise = PatchDisguise(gap=1, color_jitter=0.4, gray_prob=0.5)
    disguise(before, (2, 2), np.random.default_rng(0))
    assert np.array_equal(before, image())


def test_deterministic_in_the_shuffle():
    shuffle = JigsawShuffle(
        (2, 2), deterministic=True, gap=2, color_jitter=0.3
    )
    first, second = (shuffle(dict(img=image(), id=4)) for _ in range(2))
    assert np.array_equal(first['img'], second['img'])
    plain = JigsawShuffle((2, 2), deterministic=True)(dict(img=image(), id=4))
    assert not np.array_equal(first['img'], plain['img'])
    key = 'jigsaw_permutation'
    assert np.array_equal(first[key], plain[key])


@pytest.mark.parametrize(
    'arguments', [dict(gap=-1), dict(color_jitter=2), dict(gray_prob=-0.1)]
)
def test_ranges(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        JigsawShuffle(**arguments)


def test_gap_as_large_as_a_patch():
    with pytest.raises(ValueError, match='gap=6 leaves nothing'):
        JigsawShuffle((2, 2), gap=6)(dict(img=image()))
