"""Mean IoU in both conventions."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.evaluation.metrics import IoUMetric

from mmkd.registry import METRICS


@METRICS.register_module()
class BothMeansIoUMetric(IoUMetric):
    """``mmseg.IoUMetric`` that gives the mean IoU in both conventions.

    A class that is neither in a label nor in a prediction of the whole set
    has no IoU. ``mIoU_all`` counts it as 0 (the evaluation of the CIRKD
    repository: COCO-Stuff's 182 ids have 11 such), ``mIoU_present`` leaves it
    out (mmsegmentation's). ``mIoU`` is one of both, as ``nan_to_num`` says.

    Args:
        **kwargs: those of ``mmseg.IoUMetric``.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the metrics of the base class and both means, in %."""
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        intersect, union, *_ = (
            sum(areas) for areas in zip(*results, strict=True)
        )
        iou = class_iou(intersect, union)
        metrics['mIoU_all'] = _percent(iou.nan_to_num(0).mean())
        metrics['mIoU_present'] = _percent(iou.nanmean())
        return metrics


def class_iou(intersect: Any, union: Any) -> torch.Tensor:
    """Return IoU (K,) of summed areas (K,); nan where the union is 0."""
    return torch.as_tensor(intersect) / torch.as_tensor(union)


def _percent(value: torch.Tensor) -> float:
    return round(float(value) * 100, 2)
