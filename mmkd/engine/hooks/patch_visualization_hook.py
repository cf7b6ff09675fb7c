"""Pictures of the patches that are chosen, while validating and testing."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class PatchVisualizationHook(Hook):
    """Draw the patches of a `PatchClassifier` or `DynamicPatchClassifier`.

    Every n-th validation or test image is given to the visualizer with its
    windows, in the order of looking, and their scores, what each adds to
    the logit that the proposal network predicts. In a cascade, windows that
    were not looked at any more are dotted. The title says truth and
    prediction. Only the main process draws.

    Args:
        interval: images from one picture to the next.

    Raises:
        ValueError: ``interval`` is not positive.
    """

    def __init__(self, interval: int = 100) -> None:
        if interval < 1:
            raise ValueError(
                f'PatchVisualizationHook: interval={interval} must be at '
                'least 1; set it to a number of images, e.g. 100'
            )
        self.interval = interval
        self._seen = 0

    def before_run(self, runner: Runner) -> None:
        """Refuse models that choose no patches.

        Raises:
            TypeError: names the model.
        """
        model = unwrapped(runner.model)
        if not hasattr(model, 'proposal') or not hasattr(model, 'selector'):
            raise TypeError(
                f'PatchVisualizationHook: model.type={type(model).__name__} '
                'chooses no patches; use it with mmkd.PatchClassifier or '
                'mmkd.DynamicPatchClassifier, or remove it from custom_hooks'
            )

    def before_val_epoch(self, runner: Runner) -> None:
        """Count images from 0."""
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Count images from 0."""
        self._seen = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Draw, under the number of the epoch or iteration."""
        by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
        step = runner.iter if by_iter else runner.epoch
        self._draw(runner, data_batch, outputs, step)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Draw, as step 0."""
        self._draw(runner, data_batch, outputs, 0)

    def _draw(
        self, runner: Runner, batch: Any, samples: Any, step: int
    ) -> None:
        first, self._seen = self._seen, self._seen + len(samples)
        if not is_main_process():
            return
        for number in range(first, self._seen):
            if number % self.interval:
                continue
            k = number - first
            picture = self._picture(runner, batch['inputs'][k], samples[k])
            runner.visualizer.add_image(f'patches_{number}', picture, step)

    @staticmethod
    def _picture(runner: Runner, image: Any, sample: Any) -> np.ndarray:
        # mmpretrain is not there in every installation
        from mmkd.results.patch_explanation import propose
        from mmkd.results.patch_pictures import class_name, shown_pixels
        from mmkd.visualization.patches import windows_panel

        model = unwrapped(runner.model)
        batch = dict(inputs=image[None], data_samples=[sample])
        inputs = model.data_preprocessor(batch, False)['inputs']
        found = propose(model, inputs)
        names = (runner.visualizer.dataset_meta or {}).get('classes') or ()
        truth, label = (
            class_name(names, int(value))
            for value in (sample.gt_label, sample.pred_label)
        )
        row = dict(
            image=shown_pixels(model, inputs),
            boxes=found.boxes,
            scores=found.scores,
            # a patch classifier looks at all
            stage=sample.get('exit_stage', len(found.boxes) + 1),
            title=f'{truth}: {label}',
        )
        return windows_panel(row)
