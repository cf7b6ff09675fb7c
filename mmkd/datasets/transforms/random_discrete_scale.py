"""Random rescaling by one of a few fixed factors."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmkd.registry import TRANSFORMS

CIRKD_FACTORS = tuple(k / 10 for k in range(5, 21))


@TRANSFORMS.register_module()
class RandomDiscreteScale(BaseTransform):
    """Resize by a factor drawn uniformly from ``factors``.

    Images are resized linearly, label maps by nearest neighbour, in both
    cases with OpenCV's ``fx = fy = factor``: H' = round(factor H).
    The default factors are the 16 values 0.5, 0.6, ..., 2.0 of CIRKD.

    Args:
        factors: the factors, each > 0.
        to_float32: convert the image to float32 after resizing, so that a
            following ``Pad`` can write the exact (non-integer) mean and the
            padding becomes exactly 0 when the mean is subtracted.

    Required keys: img, seg_fields (optional).
    Modified keys: img, img_shape, the maps of seg_fields.
    Added keys: scale, scale_factor, keep_ratio.

    Raises:
        ValueError: ``factors`` is empty or has a value <= 0.
    """

    def __init__(
        self,
        factors: Sequence[float] = CIRKD_FACTORS,
        to_float32: bool = False,
    ) -> None:
        if len(factors) == 0 or min(factors) <= 0:
            raise ValueError(
                f'RandomDiscreteScale: factors={list(factors)} must be a '
                'non-empty list of positive numbers; set `factors`'
            )
        self.factors = tuple(float(factor) for factor in factors)
        self.to_float32 = to_float32

    @cache_randomness
    def _random_factor(self) -> float:
        return self.factors[np.random.randint(len(self.factors))]

    def transform(self, results: dict) -> dict:
        """Resize the image (H, W, C) and the label maps (H, W)."""
        factor = self._random_factor()
        image = _resize(results['img'], factor, cv2.INTER_LINEAR)
        if self.to_float32:
            image = image.astype(np.float32)
        for key in results.get('seg_fields', []):
            results[key] = _resize(results[key], factor, cv2.INTER_NEAREST)
        results['img'] = image
        results['img_shape'] = image.shape[:2]
        results['scale'] = image.shape[1::-1]
        results['scale_factor'] = (factor, factor)
        results['keep_ratio'] = True
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(factors={self.factors}, '
            f'to_float32={self.to_float32})'
        )


def _resize(image: np.ndarray, factor: float, mode: int) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=mode)
