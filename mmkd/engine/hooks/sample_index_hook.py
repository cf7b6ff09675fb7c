"""Whether the indices of samples in a batch are those of a whole set."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.datasets.sample_indices import count_indices
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped


@HOOKS.register_module()
class SampleIndexHook(Hook):
    """Tell a distiller whether ``sample_idx`` names one sample each.

    Where it does not (a plain ``ConcatDataset``), the first step with a loss
    or exchange that asks for ``sample_idx`` is refused. The tools of mmkd
    put this hook into every run.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at the data set."""
        watch = getattr(unwrapped(runner.model), 'sample_index', None)
        if watch is None:
            return
        try:
            count_indices(runner.train_dataloader.dataset)
        except ValueError as error:
            watch.refuse(str(error))
        else:
            watch.accept()
