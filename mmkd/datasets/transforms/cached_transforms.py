"""Decode and resize once."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmcv.transforms import BaseTransform, Compose

from mmkd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CachedTransforms(BaseTransform):
    """Run deterministic transforms once per sample and keep the result.

    Meant for loading, decoding and resizing of a data set that fits into
    memory. Every call gives out a deep copy, so later random transforms
    never touch the cache. Samples are told apart by ``key`` (the image
    path), so one object serves one data set.

    Each data loader worker has its own cache: use ``num_workers=0``, or
    ``persistent_workers=True`` so that the caches live longer than an epoch.

    Args:
        transforms: configs of the wrapped transforms. They must draw no
            random number, or every epoch sees the same one.
        key: entry of the results that identifies a sample.

    Raises:
        KeyError: a sample has no entry ``key``.
    """

    def __init__(
        self, transforms: Sequence[dict], key: str = 'img_path'
    ) -> None:
        self.transforms = Compose(list(transforms))
        self.key = key
        self._cache: dict = {}

    def transform(self, results: dict) -> dict | None:
        """Return a copy of the kept results of this sample."""
        if self.key not in results:
            raise KeyError(
                f'CachedTransforms: no entry {self.key!r} in the sample, only '
                f'{sorted(results)}; set `key` to what identifies a sample'
            )
        sample = results[self.key]
        if sample not in self._cache:
            self._cache[sample] = self.transforms(results)
        return copy.deepcopy(self._cache[sample])

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(transforms={self.transforms}, '
            f'key={self.key!r})'
        )
