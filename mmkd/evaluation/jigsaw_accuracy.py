"""How many patches of a puzzle are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmkd.registry import METRICS
from mmkd.utils.patch_grid import LABEL_MODES, check_label_mode, true_slots


@METRICS.register_module()
class JigsawAccuracy(BaseMetric):
    """Share of patches whose slot is predicted, and of solved puzzles.

    Gives ``jigsaw/patch_accuracy``, the mean over patches and samples of
    [predicted slot == true slot], and ``jigsaw/perfect_rate``, the share of
    samples with all K slots right; both from 0 to 1. Guessing gives 1 / K
    for the first.

    Samples need ``pred_instances.patch_slots`` (1, K), as made by
    `JigsawHeatmapHead`, and ``jigsaw_permutation`` (K,) in their meta
    information: extend ``meta_keys`` of ``PackPoseInputs`` by it.

    Args:
        label_mode: as in `JigsawShuffle`.
        **kwargs: arguments of mmengine's ``BaseMetric``.

    Raises:
        KeyError: a sample lacks one of the two.
        ValueError: they differ in length.
    """

    default_prefix = 'jigsaw'

    def __init__(
        self, label_mode: str = LABEL_MODES[0], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_label_mode('JigsawAccuracy', label_mode)
        self.label_mode = label_mode

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Compare the slots of every sample of a batch."""
        for sample in data_samples:
            found = _predicted(sample)
            permutation = _array(_permutation(sample))
            if found.shape != permutation.shape:
                raise ValueError(
                    f'JigsawAccuracy: {found.size} predicted slots, '
                    f'{permutation.size} patches in jigsaw_permutation; use '
                    'the same grid_size in mmkd.JigsawShuffle and in the '
                    "head's decoder"
                )
            right = found == true_slots(permutation, self.label_mode)
            self.results.append((right.mean(), right.all()))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Average over samples."""
        accuracy, perfect = np.mean(np.asarray(results, np.float64), axis=0)
        return dict(
            patch_accuracy=float(accuracy), perfect_rate=float(perfect)
        )


def _predicted(sample: Mapping[str, Any]) -> np.ndarray:
    instances = sample.get('pred_instances')
    if instances is None or 'patch_slots' not in instances:
        raise KeyError(
            'JigsawAccuracy: pred_instances has no patch_slots; set '
            "model.head.type='mmkd.JigsawHeatmapHead'"
        )
    slots = (
        instances['patch_slots']
        if isinstance(instances, Mapping)
        else instances.patch_slots
    )
    return _array(slots)


def _permutation(sample: Mapping[str, Any]) -> Any:
    permutation = sample.get('jigsaw_permutation')
    if permutation is None:
        raise KeyError(
            'JigsawAccuracy: the sample has no jigsaw_permutation; add '
            "'jigsaw_permutation' to meta_keys of PackPoseInputs and "
            'mmkd.JigsawShuffle to the pipeline'
        )
    return permutation


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.cpu().numpy()
    return np.asarray(values).reshape(-1)
