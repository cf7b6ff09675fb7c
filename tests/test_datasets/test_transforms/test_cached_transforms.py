"""CachedTransforms."""

from __future__ import annotations

import numpy as np
import pytest

from mmkd.datasets import CachedTransforms
from mmkd.registry import TRANSFORMS


class Load:
    """Counts its calls per path."""

    def __init__(self):
        self.calls = []

    def __call__(self, results):
        self.calls.append(results['img_path'])
        results['img'] = np.full((2, 2, 3), len(self.calls))
        results['seg_fields'] = []
        return results


def test_each_sample_runs_once():
    load = Load()
    cached = CachedTransforms([load])
    for name in 'abaab':
        result = cached(dict(img_path=name))
        assert (result['img'] == 'ab'.index(name) + 1).all()
    assert load.calls == ['a', 'b']


def test_gives_out_copies():
    cached = CachedTransforms([Load()])
    first = cached(dict(img_path='a'))
    first['img'][:] = 99
    first['seg_fields'].append('gt_seg_map')
    second = cached(dict(img_path='a'))
    assert (second['img'] == 1).all()
    assert second['seg_fields'] == []


def test_the_wrapped_transforms_are_built_from_configs(tmp_path):
    import cv2

    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.zeros((6, 8, 3), dtype=np.uint8))
    cached = TRANSFORMS.build(
        dict(
            type='mmkd.CachedTransforms',
            transforms=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(4, 3)),
            ],
        )
    )
    assert cached(dict(img_path=path))['img'].shape == (3, 4, 3)


def test_other_key_and_missing_key():
    cached = CachedTransforms([Load()], key='sample_idx')
    assert cached(dict(img_path='a', sample_idx=0))['img'].max() == 1
    assert cached(dict(img_path='b', sample_idx=0))['img_path'] == 'a'
    with pytest.raises(KeyError, match="no entry 'sample_idx'"):
        cached(dict(img_path='a'))
