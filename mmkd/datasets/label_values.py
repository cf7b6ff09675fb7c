"""Class numbers of label maps."""

from __future__ import annotations

from typing import Any

_PADDED = 255  # what transforms of mmsegmentation pad label maps with
_MOST = 5


def unknown_labels(result: Any, classes: int, ignored: int) -> list[int]:
    """Return some numbers of a packed sample's label map that are no class.

    Args:
        result: of a pipeline; without a label map there are none.
        classes: number K of classes, 0 to K-1.
        ignored: the number of what is no class.
    """
    sample = result.get('data_samples') if isinstance(result, dict) else None
    field = getattr(sample, 'gt_sem_seg', None)
    labels = getattr(field, 'data', None)
    if labels is None:
        return []
    bad = (labels >= classes) & (labels != ignored) & (labels != _PADDED)
    if not bool(bad.any()):
        return []
    return labels[bad].unique().tolist()[:_MOST]
