"""Transforms that put a synthetic scene in place of an image file."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from mmkd.registry import TRANSFORMS
from mmkd.testing.scenes import cached_scene

# Scene numbers of the splits lie far apart, so that no scene is in two.
SPLIT_STARTS = dict(train=0, val=10**6, test=2 * 10**6)


def scene_requests(
    num_samples: int,
    size: tuple[int, int],
    num_objects: int,
    seed: int,
    split: str,
    main_class: int | None = None,
    clutter: float = 1.0,
) -> list[dict[str, Any]]:
    """Keywords of :func:`cached_scene` for each scene of a data set.

    Raises:
        ValueError: unknown split or less than one sample.
    """
    if split not in SPLIT_STARTS:
        raise ValueError(
            f'synthetic data set: split={split!r} is unknown; set it to one '
            f'of {tuple(SPLIT_STARTS)}'
        )
    if num_samples < 1:
        raise ValueError(
            f'synthetic data set: num_samples={num_samples} must be at '
            'least 1; set it in the data set'
        )
    start = SPLIT_STARTS[split]
    return [
        dict(
            index=start + i,
            size=(int(size[0]), int(size[1])),
            num_objects=num_objects,
            seed=seed,
            main_class=main_class,
            clutter=clutter,
        )
        for i in range(num_samples)
    ]


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
