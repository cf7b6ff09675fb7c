"""Training steps that are left out, as if their batch had not been."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import Runner

from mmkd.utils.dist import any_rank, unwrapped
from mmkd.utils.finite_tensors import total_norm

#: where the number of steps is kept; checkpoints hold it
COUNT = 'mmkd_left_out_steps'


class NonFiniteStep(FloatingPointError):
    """All processes agree that the step must not be taken."""


class LeftOutSteps:
    """Lets a model leave out bad steps: weights and buffers stay.

    Running averages, banks and queues are put back to what they were when
    the optimizers stepped last; with gradient accumulation all batches since
    are left out. Learning rates go on.

    Args:
        runner: of the run.
        wrappers: its optimizers.
        budget: so many steps of the run may be left out.
    """

    def __init__(
        self, runner: Runner, wrappers: Sequence[Any], budget: int
    ) -> None:
        self.runner, self.wrappers, self.budget = runner, wrappers, budget
        self.model: Any = runner.model
        self._step = self.model.train_step
        self.model.train_step = self.train_step
        inner = unwrapped(runner.model)
        self.complaints: list[str] = []
        if hasattr(inner, 'complaints'):
            inner.complaints = self.complaints
            inner.inspect_phases = self.inspect_phases
        self._buffers: dict[str, torch.Tensor] = {}

    def remove(self) -> None:
        """Leave the model as it was."""
        del self.model.train_step
        if hasattr(unwrapped(self.model), 'complaints'):
            unwrapped(self.model).complaints = None
            unwrapped(self.model).inspect_phases = None
        self._buffers = {}

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        """Take the step, or none.

        Returns:
            What the model returns; nothing of a step that was left out.
        """
        if all(_fresh(wrapper) for wrapper in self.wrappers):
            self._buffers = {
                name: buffer.clone()
                for name, buffer in self.model.named_buffers()
            }
            self.complaints.clear()
        try:
            return self._step(data, optim_wrapper=optim_wrapper)
        except NonFiniteStep as error:
            self._leave_out(error)
            return {}

    def inspect_phases(
        self, gradients: Mapping[str, list[torch.Tensor]]
    ) -> None:
        """Decide about several optimizers before the first steps.

        Raises:
            NonFiniteStep: names the phase.
        """
        for name, values in gradients.items():
            scaled = hasattr(self.runner.optim_wrapper[name], 'loss_scaler')
            if not scaled and not math.isfinite(total_norm(values)):
                self.complaints.append(
                    f'the gradient of optim_wrapper.{name} is not finite'
                )
        self.decide()

    def decide(self, what: str | None = None) -> None:
        """Let all processes leave out the step, or none.

        Args:
            what: is wrong with the gradients here.

        Raises:
            NonFiniteStep: names what is wrong here, if anything is.
        """
        told = [*self.complaints, *([what] if what else [])]
        if any_rank(bool(told)):
            raise NonFiniteStep(
                told[0]
                if told
                else 'the step of another process is not finite'
            )

    def _leave_out(self, error: NonFiniteStep) -> None:
        hub = self.runner.message_hub
        count = hub.runtime_info.get(COUNT, 0)
        if count >= self.budget:
            raise FloatingPointError(
                f'{error}. {count} steps were left out before, as many as '
                f'max_left_out={self.budget} of the hook '
                'mmkd.FiniteGradientHook allows'
            ) from error
        hub.update_info(COUNT, count + 1)
        for wrapper in self.wrappers:
            wrapper.zero_grad()
        with torch.no_grad():
            for name, buffer in self.model.named_buffers():
                if name in self._buffers:
                    buffer.copy_(self._buffers[name])
        self.complaints.clear()
        told = str(error).replace(': training stops before the step', '')
        self.runner.logger.warning(
            f'step {self.runner.iter + 1} is left out ({count + 1} of at '
            f'most {self.budget}): {told}'
        )


def _fresh(wrapper: Any) -> bool:
    """Whether no gradient waits for other batches."""
    return wrapper._inner_count % wrapper._accumulative_counts == 0
