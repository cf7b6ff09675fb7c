"""JigsawShuffle: images, key points, random numbers, messages."""

from __future__ import annotations

import multiprocessing
from collections import Counter

import numpy as np
import pytest

from mmkd.datasets import JigsawShuffle
from tests.references import hsjp


def crop(height=16, width=12, **entries):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return dict(img=image, **entries)


def test_hand_case(golden):
    case = golden('hsjp', 'hand_2x2')
    shuffle = JigsawShuffle((2, 2), permutation=case['permutation'])
    results = shuffle(dict(img=case['image'].copy()))
    assert np.array_equal(results['img'], case['shuffled'])
    assert np.array_equal(
        results['transformed_keypoints'], case['centres_xy'][None]
    )
    assert results['transformed_keypoints'].dtype == np.float32
    assert np.array_equal(results['keypoints_visible'], np.ones((1, 4)))
    assert np.array_equal(results['jigsaw_permutation'], case['permutation'])
    assert results['jigsaw_permutation'].dtype == np.int64


def test_golden_grid(golden):
    case = golden('hsjp', 'grid_256x192_4x3')
    patches = np.kron(
        np.arange(12, dtype=np.uint8).reshape(4, 3),
        np.ones((64, 64), np.uint8),
    )
    for order, expected, peaks in zip(
        case['permutations'],
        case['patch_id_map_stride16'],
        case['peaks_xy'],
        strict=True,
    ):
        results = JigsawShuffle(permutation=order)(dict(img=patches))
        assert np.array_equal(results['img'][::16, ::16], expected)
        points = results['transformed_keypoints'][0]
        assert np.array_equal(np.floor(points / 4 + 0.5), peaks)


def test_identity_changes_nothing():
    results = JigsawShuffle(permutation=range(12))(crop())
    assert np.array_equal(results['img'], crop()['img'])
    expected = hsjp.centres(range(12), (4, 3), (12, 16))
    assert np.array_equal(results['transformed_keypoints'][0], expected)


def test_random_puzzles_can_be_solved():
    np.random.seed(0)
    before = crop()['img']
    results = JigsawShuffle()(crop())
    order = results['jigsaw_permutation']
    assert not np.array_equal(results['img'], before)
    solved = hsjp.shuffle(results['img'], np.argsort(order), (4, 3))
    assert np.array_equal(solved, before)
    assert np.array_equal(
        np.sort(results['img'], axis=None), np.sort(before, axis=None)
    )


def test_origin_labels_are_location_labels_of_the_inverse():
    order = np.array([5, 2, 0, 1, 4, 3])
    origin = JigsawShuffle((2, 3), 'patch_origin', permutation=order)
    location = JigsawShuffle((2, 3), permutation=np.argsort(order))
    key = 'transformed_keypoints'
    assert np.array_equal(origin(crop())[key], location(crop())[key])
    expected = hsjp.centres(order, (2, 3), (12, 16), 'patch_origin')
    assert np.array_equal(origin(crop())[key][0], expected)


def test_overwrites_joints():
    joints = dict(
        transformed_keypoints=np.zeros((1, 17, 2)),
        keypoints_visible=np.zeros((1, 17)),
    )
    results = JigsawShuffle()(crop(**joints))
    assert results['transformed_keypoints'].shape == (1, 12, 2)
    assert results['keypoints_visible'].min() == 1


def test_all_permutations_are_equally_likely():
    np.random.seed(0)
    shuffle = JigsawShuffle((2, 2))
    image = np.zeros((2, 2), np.uint8)
    counts = Counter(
        tuple(shuffle(dict(img=image))['jigsaw_permutation'].tolist())
        for _ in range(24000)
    )
    assert len(counts) == 24
    deviation = max(abs(count - 1000) for count in counts.values())
    assert deviation <= 5 * np.sqrt(1000)


def deterministic_permutation(identity, seed=0):
    shuffle = JigsawShuffle(deterministic=True, seed=seed)
    return shuffle(crop(id=identity))['jigsaw_permutation'].tolist()


def test_deterministic_puzzles_depend_on_seed_and_id_only():
    ids = [0, 1, 10**6, 'person_7']
    first = [deterministic_permutation(i) for i in ids]
    np.random.seed(5)
    assert [deterministic_permutation(i) for i in ids] == first
    assert len({tuple(order) for order in first}) == len(ids)
    assert deterministic_permutation(0, seed=1) != first[0]
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        assert pool.map(deterministic_permutation, ids) == first


def test_random_puzzles_differ_between_epochs_and_follow_the_seed():
    def epoch():
        orders = [JigsawShuffle()(crop(id=1)) for _ in range(2)]
        return [order['jigsaw_permutation'].tolist() for order in orders]

    np.random.seed(3)
    first = epoch()
    assert first[0] != first[1]
    np.random.seed(3)
    assert epoch() == first


@pytest.mark.parametrize(
    ('image', 'error', 'words'),
    [
        (np.zeros((256, 192, 3), np.uint8), ValueError, r'not divisible by'),
        (np.zeros((2, 2, 3), np.uint8), ValueError, 'smaller than grid'),
        (np.zeros((9, 9, 3), np.int64), TypeError, 'of int64; expected'),
        ([np.zeros((9, 9, 3))], TypeError, 'img is list; expected'),
        (np.zeros((2, 9, 9, 3), np.uint8), TypeError, 'one image'),
    ],
)
def test_images_that_cannot_be_shuffled(image, error, words):
    with pytest.raises(error, match=words):
        JigsawShuffle((3, 3))(dict(img=image))


def test_used_twice_or_too_late():
    shuffle = JigsawShuffle()
    with pytest.raises(ValueError, match='shuffled already'):
        shuffle(shuffle(crop()))
    with pytest.raises(ValueError, match='targets already'):
        shuffle(crop(heatmaps=0))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='patch_location'):
        JigsawShuffle(label_mode='location')
    with pytest.raises(ValueError, match='each of 0 to 3 once'):
        JigsawShuffle((2, 2), permutation=[0, 1, 2, 2])
    with pytest.raises(ValueError, match='makes no puzzle'):
        JigsawShuffle((1, 1))
    with pytest.raises(KeyError, match='deterministic=True needs'):
        JigsawShuffle(deterministic=True)(crop())
    assert 'grid_size=(4, 3)' in repr(JigsawShuffle())
