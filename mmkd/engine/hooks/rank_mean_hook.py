"""Logged losses of several processes are means over all of them."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.registry import HOOKS


@HOOKS.register_module()
class RankMeanHook(Hook):
    """Averages what a step logs over the processes.

    mmengine logs the losses of the first process alone. The mean is that of
    the processes, as the mean of gradients is: where their batches are of
    unlike sizes (the last ones of an epoch), it is not that of all images.
    One process logs what it logs without. The tools of mmkd add it to every
    run.
    """

    priority = 'HIGHEST'  # before mmengine notes the values

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Average the numbers of ``outputs``, in one transfer."""
        if get_world_size() == 1 or not outputs:
            return
        names = sorted(name for name, v in outputs.items() if _is_number(v))
        tensors = [v for v in outputs.values() if torch.is_tensor(v)]
        device = tensors[0].device if tensors else None
        values = torch.stack(
            [
                torch.as_tensor(outputs[name], device=device).detach().double()
                for name in names
            ]
        )
        all_reduce(values, op='mean')
        outputs.update(zip(names, values.unbind(), strict=True))


def _is_number(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.ndim == 0
    return isinstance(value, (int, float))
