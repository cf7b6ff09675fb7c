"""Several processes have as many batches each."""

from __future__ import annotations

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.registry import HOOKS


@HOOKS.register_module()
class EqualBatchesHook(Hook):
    """Stops a run whose processes have unlike numbers of batches.

    A process that has no more batches leaves the others waiting for its
    gradients until they time out. Loops of iterations have no such end. The
    tools of mmkd add it to every run.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare the lengths of the data loaders.

        Raises:
            ValueError: they differ, on every process.
        """
        if get_world_size() == 1 or not hasattr(
            runner.train_loop, 'max_epochs'
        ):
            return
        counts = all_gather_object(len(runner.train_dataloader))
        if len(set(counts)) > 1:
            raise ValueError(
                'train_dataloader has unlike numbers of batches on the '
                f'processes: {", ".join(map(str, counts))}; the first that '
                'ends would leave the others waiting: set '
                'train_dataloader.sampler.round_up=True, or drop images'
            )
