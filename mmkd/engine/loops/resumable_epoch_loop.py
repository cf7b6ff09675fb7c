"""An epoch loop that resumes anywhere and exactly."""

from __future__ import annotations

from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from mmkd.engine.loops.position import (
    ExactLoop,
    batches_from,
    validate_if_due,
)
from mmkd.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochBasedTrainLoop(ExactLoop, EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop`` that goes on where it stopped.

    From a checkpoint inside an epoch it takes the rest of that epoch (the
    stock loop starts the epoch anew); samples that were seen are skipped by
    index. A checkpoint is written before the validation of its epoch, so a
    resumed run begins with that validation. Random numbers of a sample: see
    `ExactDataLoader`; for those of steps add `StepSeedHook`.

    The tools of mmkd use it wherever a config asks for the stock loop.
    """

    def run(self) -> nn.Module:
        """Train, from the start or from where the resumed run was."""
        self.runner.call_hook('before_train')
        self._skipped = 0
        if self._iter:
            state = self.state.resumed(self.runner)
            if state.get('epoch') == self._epoch:
                self._skipped = state['batches']
            elif self._epoch and not state.get('validated', True):
                self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train an epoch, or the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        skipped, self._skipped = self._skipped, 0
        batches = batches_from(self.dataloader, self._epoch, skipped)
        for number, batch in enumerate(batches, skipped):
            self.state.at(self._epoch, number + 1)
            self.run_iter(number, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _validate(self) -> None:
        validate_if_due(self, self._epoch, self._max_epochs)
