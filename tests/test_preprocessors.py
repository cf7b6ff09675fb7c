"""Which data preprocessor prepares the images, and of how many channels."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from mmkd.networks import build_network
from mmkd.preprocessors import (
    difference,
    image_channels,
    require_same_channels,
)
from mmkd.toys import toy_network

GREY = dict(mean=[127.5], std=[64.0])


@pytest.mark.parametrize(
    ('one', 'two', 'found'),
    [
        (dict(mean=[1.0]), dict(mean=(1.0,)), ''),
        (dict(mean=[1.0]), dict(), 'mean is [1.0] and None'),
        (dict(std=[1.0]), dict(std=[2.0]), 'std is [1.0] and [2.0]'),
        (dict(to_rgb=True), dict(bgr_to_rgb=True), ''),
        (dict(to_rgb=True), dict(), 'channels are swapped: True and False'),
        (dict(size=(8, 8)), dict(size=(16, 8)), 'size is [8, 8] and [16, 8]'),
        (dict(size=(8, 8)), dict(), ''),
        (dict(type='A', num_classes=3), dict(type='B', num_classes=4), ''),
        (dict(num_views=2), dict(), ''),
        (dict(mean=[1.0]), None, ''),
    ],
)
def test_difference(one: Any, two: Any, found: str) -> None:
    text = difference(one, two)
    assert found in text
    assert bool(found) == bool(text)


def with_channels(task: str, count: int) -> dict[str, Any]:
    model = toy_network(task, 4)
    model['backbone']['in_channels'] = count
    model['data_preprocessor'].update(mean=[127.5] * count, std=[64.0] * count)
    return model


def test_image_channels() -> None:
    for count in (1, 3, 4):
        network = build_network(with_channels('segmentation', count))
        assert image_channels(network) == count
    assert image_channels(nn.Linear(2, 2)) is None
    network = nn.Linear(2, 2)
    network.data_preprocessor = build_network(
        with_channels('segmentation', 4)
    ).data_preprocessor
    assert image_channels(network) == 4


def test_peers_of_other_channels() -> None:
    with pytest.raises(ValueError, match=r'have \[3, 1\] channels'):
        require_same_channels([nn.Conv2d(3, 4, 1), nn.Conv2d(1, 4, 1)])
    require_same_channels([nn.Conv2d(3, 4, 1), nn.Linear(2, 2)])
