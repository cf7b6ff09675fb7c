"""Transforms that put a synthetic scene in place of an image file."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from mmkd.registry import TRANSFORMS
from mmkd.toys.scenes import cached_scene


@TRANSFORMS.register_module()
class LoadScene(BaseTransform):
    """Load the image of a scene; stands in for ``LoadImageFromFile``.

    Required key: ``scene``, the keywords of ``cached_scene``. Added keys:
    ``img`` (H, W, 3), uint8, blue-green-red; ``img_shape``; ``ori_shape``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = cached_scene(**results['scene']).image.copy()
        results['img'] = image
        results['img_shape'] = image.shape[:2]
        results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadSceneSegMap(BaseTransform):
    """Load the segmentation of a scene; stands in for ``LoadAnnotations``.

    Required keys: ``scene``, ``seg_fields``. Added key: ``gt_seg_map``
    (H, W), uint8. The stock ``LoadAnnotations`` of mmdetection and the
    labels of the other tasks need no stand-in.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        results['gt_seg_map'] = cached_scene(**results['scene']).seg_map.copy()
        results['seg_fields'].append('gt_seg_map')
        return results
