from __future__ import annotations

import pytest
import torch

from mmkd.models.memory import class_counts, region_means, select_pixels


def test_class_counts():
    labels = torch.tensor([[0, 2, 2, 3], [3, 3, 3, 3]])
    assert class_counts(labels, 3).tolist() == [[1, 0, 2], [0, 0, 0]]


def test_class_mode_takes_pixels_of_the_class_only():
    labels = torch.randint(0, 5, (3, 60))
    index, counts = select_pixels(labels, 4, 8, 'class')
    assert torch.equal(counts, class_counts(labels, 4).clamp(max=8))
    for image in range(3):
        for cls in range(4):
            chosen = index[image, cls, : counts[image, cls]]
            assert (labels[image, chosen] == cls).all()
            assert len(chosen.unique()) == len(chosen)


def test_leading_mode_takes_the_first_pixels_of_the_image():
    labels = torch.randint(0, 5, (3, 60))
    index, counts = select_pixels(labels, 4, 8, 'leading')
    available = class_counts(labels, 4)
    for image in range(3):
        for cls in range(4):
            chosen = index[image, cls, : counts[image, cls]]
            assert (chosen < available[image, cls]).all()
            assert len(chosen.unique()) == len(chosen)


@pytest.mark.parametrize('sampling', ['leading', 'class'])
def test_every_pixel_is_equally_likely(sampling):
    labels = torch.tensor([[0] * 4 + [1] * 6]).expand(4000, -1)
    index, counts = select_pixels(labels, 2, 2, sampling)
    assert (counts == 2).all()
    offset = 4 if sampling == 'class' else 0
    for cls, begin, size in ((0, 0, 4), (1, offset, 6)):
        for place in range(2):  # in every place of the queue, too
            hits = index[:, cls, place].bincount(minlength=begin + size)
            share = hits[begin:] / 4000
            assert hits.sum() == hits[begin:].sum() and len(share) == size
            assert (share - 1 / size).abs().max() < 0.035


@pytest.mark.parametrize('sampling', ['leading', 'class'])
def test_fewer_pixels_than_wanted(sampling):
    labels = torch.tensor([[1, 0, 1, 2]])
    index, counts = select_pixels(labels, 2, 16, sampling)
    assert counts.tolist() == [[1, 2]]
    assert index.shape == (1, 2, 16)
    assert index.min() >= 0 and index.max() < 4
    expected = {1} if sampling == 'class' else {0}
    assert set(index[0, 0, :1].tolist()) == expected
    expected = {0, 2} if sampling == 'class' else {0, 1}
    assert set(index[0, 1, :2].tolist()) == expected


def test_generator_repeats_the_draw():
    labels = torch.randint(0, 4, (2, 50))

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return select_pixels(labels, 4, 5, 'class', generator=generator)[0]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_draws_of_other_labels_are_refused():
    labels = torch.tensor([[0, 0, 1, 1]])
    draws = torch.tensor([[0, 0, 3, 1, 2]])
    with pytest.raises(ValueError, match=r'\[3\] pixels.*\[2\]'):
        select_pixels(labels, 2, 1, 'class', draws)


def test_region_means():
    feats = torch.nn.functional.normalize(torch.randn(2, 12, 5), dim=2)
    labels = torch.tensor([[0] * 5 + [1] + [3] * 6, [3] * 12])
    means = region_means(feats, labels, 3)
    expected = torch.nn.functional.normalize(feats[0, :5].mean(0), dim=0)
    torch.testing.assert_close(means[0, 0], expected)
    torch.testing.assert_close(means[0, 1], feats[0, 5])  # one pixel
    assert means[0, 2].abs().max() == 0 and means[1].abs().max() == 0
