"""Forget what a data set says of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from mmkd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DropKeys(BaseTransform):
    """Remove entries of a sample, e.g. labels that shall not be read.

    A batch of samples with and without labels cannot be put together.

    Args:
        keys: to remove, where they are there.
    """

    def __init__(self, keys: Sequence[str] = ('gt_label',)) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return the sample without the keys."""
        return {k: v for k, v in results.items() if k not in self.keys}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(keys={self.keys})'
