from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmkd.evaluation import Features, few_shot_eval


def cones(classes: int, images: int, spread: float) -> Features:
    """Classes around random directions; lengths say nothing."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat_interleave(images)
    centres = F.normalize(torch.randn(classes, 16, generator=generator))
    noise = torch.randn(len(labels), 16, generator=generator)
    length = 10 ** torch.randn(len(labels), 1, generator=generator)
    return Features(length * (centres[labels] + spread * noise), labels)


def slow(features: Features, ways: int, shots: int, queries: int) -> list:
    """Three episodes, image by image, from the same draws."""
    generator = torch.Generator().manual_seed(7)
    results = []
    for _ in range(3):
        labels = sorted(set(features.labels.tolist()))
        picks = torch.randperm(len(labels), generator=generator)[:ways]
        means, asked = [], []
        for way, pick in enumerate(picks.tolist()):
            rows = [
                row
                for row, label in enumerate(features.labels.tolist())
                if label == labels[pick]
            ]
            order = torch.randperm(len(rows), generator=generator).tolist()
            unit = [
                features.feats[rows[i]] / features.feats[rows[i]].norm()
                for i in order[: shots + queries]
            ]
            means.append(sum(unit[:shots]) / shots)
            asked += [(query, way) for query in unit[shots:]]
        right = 0
        for query, way in asked:
            cosines = [
                float(query @ mean / (query.norm() * mean.norm()))
                for mean in means
            ]
            right += cosines.index(max(cosines)) == way
        results.append(100 * right / len(asked))
    return results


@pytest.mark.parametrize(('ways', 'shots', 'queries'), [(3, 1, 4), (4, 3, 2)])
def test_equals_a_slow_loop(ways: int, shots: int, queries: int) -> None:
    features = cones(6, 8, 0.4)
    found = few_shot_eval(
        features, ways=ways, shots=shots, queries=queries, episodes=3, seed=7
    )
    expected = slow(features, ways, shots, queries)
    assert found.accuracies.tolist() == pytest.approx(expected)
    mean = sum(expected) / 3
    variance = sum((e - mean) ** 2 for e in expected) / 2
    assert found.mean == pytest.approx(mean)
    assert found.interval == pytest.approx(1.96 * (variance / 3) ** 0.5)


def test_clean_classes_are_perfect_and_noise_is_chance() -> None:
    clean = few_shot_eval(cones(8, 20, 0.01), episodes=50)
    assert clean.mean == 100.0
    assert clean.interval == 0.0
    features = cones(8, 20, 0.01)
    shuffled = features.labels[torch.randperm(len(features.labels))]
    noise = few_shot_eval(Features(features.feats, shuffled), episodes=200)
    assert abs(noise.mean - 20.0) < 3.0


def test_more_shots_help() -> None:
    features = cones(8, 30, 0.5)
    one, five = (
        few_shot_eval(features, shots=shots, episodes=100).mean
        for shots in (1, 5)
    )
    assert five > one + 5


def test_mistakes_are_named() -> None:
    features = cones(4, 10, 0.1)
    with pytest.raises(ValueError, match='class 0 has 10 images.*needs 16'):
        few_shot_eval(features)
    with pytest.raises(ValueError, match='ways=5, but the data have 4'):
        few_shot_eval(features, queries=5)
    with pytest.raises(ValueError, match='shots=0 must be at least 1'):
        few_shot_eval(features, shots=0)
