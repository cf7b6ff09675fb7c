"""Where a training stands, beyond the counts that mmengine saves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmkd.datasets.exact_loader import ExactDataLoader, make_exact
from mmkd.engine.hooks.resume_state_hook import ResumeStateHook


class ExactLoop(BaseLoop):
    """A loop whose loader is exact, and whose state is saved.

    ``dataloader`` is made exact whenever it is set, by a hook too.
    """

    @property
    def dataloader(self) -> Any:
        """The loader of the training."""
        return self._loader

    @dataloader.setter
    def dataloader(self, loader: Any) -> None:
        self._loader = make_exact(loader, self.runner.seed or 0)
        self.state = resume_state(self.runner)


def resume_state(runner: Runner) -> ResumeStateHook:
    """Return the hook that saves where a loop stands; there is one."""
    for hook in runner.hooks:
        if isinstance(hook, ResumeStateHook):
            return hook
    hook = ResumeStateHook()
    runner.register_hook(hook)
    return hook


def batches_from(loader: Any, epoch: int, skipped: int) -> Iterator[Any]:
    """Give the batches of an epoch from one of them on.

    Indices are skipped where the loader is exact, else loaded batches.
    """
    if isinstance(loader, ExactDataLoader):
        loader.epoch = epoch
        return loader.batches(skipped)
    return _after(iter(loader), skipped)


def _after(batches: Iterator[Any], skipped: int) -> Iterator[Any]:
    for number, batch in enumerate(batches):
        if number >= skipped:
            yield batch


def validate_if_due(loop: Any, done: int, last: int) -> None:
    """Validate after ``done`` epochs or iterations, if it is time.

    Samples are alike in every validation.
    """
    loop._decide_current_val_interval()
    validation = loop.runner.val_loop
    due = done % loop.val_interval == 0 or done == last
    if validation is not None and done >= loop.val_begin and due:
        seed = loop.runner.seed or 0
        make_exact(validation.dataloader, seed, 'val_sample')
        validation.run()


def set_epoch(loop: BaseLoop, epoch: int) -> None:
    """Tell the sampler of a loop which pass begins."""
    loader: Any = loop.dataloader
    for sampler in (
        getattr(loader, 'sampler', None),
        getattr(getattr(loader, 'batch_sampler', None), 'sampler', None),
    ):
        if sampler is not None and hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(epoch)
            return
