"""What a network is in a distiller: student, teacher, peer or follower."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import ModuleDict
from torch import nn

from mmkd.models.distillers.views import View
from mmkd.models.distillers.wiring import Wiring, head_inputs
from mmkd.taps import Record, Taps, Tensors
from mmkd.training_heads import auxiliary_heads_run, query_head_runs
from mmkd.utils.checkpointing import not_reentrant, uses_checkpointing

Context = Callable[[torch.Tensor], AbstractContextManager[Any]]


def as_caller(images: torch.Tensor) -> AbstractContextManager[Any]:
    """Leave gradients and precision as they are."""
    return nullcontext()


def without_gradient(images: torch.Tensor) -> AbstractContextManager[Any]:
    """Record no gradients."""
    return torch.no_grad()


@dataclass(eq=False)
class Role:
    """A network with its taps and auxiliary heads.

    No module: what is trained or saved is registered by the distiller.

    Args:
        label: ``student``, ``teacher``, ``teacher1``, ``peer0``,
            ``peer0.mean``, ...
        network: on which the taps are.
        wiring: the names that it gives.
        entry: what is called with images; the network, if not given.
        context: for running the network and its heads on images.
        learns: it has its own losses; else it is only observed.
        state: what happens to it, for the summary.
        fixed: it never changes, so copies of the distiller share it.
        heads: name -> auxiliary head, once built.
    """

    label: str
    network: nn.Module
    wiring: Wiring
    entry: Any = None
    context: Context = as_caller
    learns: bool = True
    state: str = 'trained'
    fixed: bool = False
    heads: ModuleDict = field(default_factory=ModuleDict)

    def __post_init__(self) -> None:
        self.taps = Taps(self.network, self.wiring.paths)
        self.checkpoints = uses_checkpointing(self.network)

    def learn(
        self, view: View, data_samples: list | None
    ) -> tuple[dict[str, Any], dict[str, Tensors]]:
        """Run the network with its own losses.

        Returns:
            Log name -> own loss, and name -> wanted tensor.
        """
        kept = not_reentrant() if self.checkpoints else nullcontext()
        with kept, self.taps.recording() as record:
            losses = view.task_loss(self.network, data_samples, record)
        # mmengine logs the sum of all losses as "loss".
        own = {
            'loss_task' if key == 'loss' else key: value
            for key, value in losses.items()
        }
        return own, self.named(record)

    def observe(
        self, images: torch.Tensor, data_samples: list | None = None
    ) -> tuple[Any, dict[str, Tensors]]:
        """Run the network without labels.

        Two-stage and query detectors read the image sizes of
        ``data_samples``.

        Returns:
            The network's raw output, and name -> wanted tensor.
        """
        entry = self.network if self.entry is None else self.entry
        with self.context(images):
            with self.running_taps() as record:
                output = entry(images, data_samples, mode='tensor')
            return output, self.named(record)

    @contextmanager
    def running_taps(
        self, network: nn.Module | None = None
    ) -> Iterator[Record]:
        """Record the taps of a run without labels.

        Auxiliary heads of segmentation networks run where they are tapped.

        Args:
            network: a copy that runs instead.
        """
        taps = self.taps if network is None else self.taps.on(network)
        network = self.network if network is None else network
        modules = (p.module for paths in taps.paths.values() for p in paths)
        with (
            query_head_runs(network),
            auxiliary_heads_run(network, modules),
            taps.recording() as record,
        ):
            yield record

    def named(
        self, record: Record | Mapping[str, Tensors]
    ) -> dict[str, Tensors]:
        """Return the wanted tensors: taps and heads' outputs."""
        tensors: dict[str, Tensors] = {}

        def find(name: str) -> Tensors:
            if name not in tensors:
                config = self.wiring.heads.get(name)
                tensors[name] = (
                    record[name]
                    if config is None
                    else self.heads[name](*map(find, head_inputs(config)))
                )
            return tensors[name]

        for name in self.wiring.wanted:
            find(name)
        return tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> Role:
        """Copy along with the networks; a fixed role is shared."""
        if self.fixed:
            return self
        values = {
            key: copy.deepcopy(value, memo)
            for key, value in vars(self).items()
        }
        twin = object.__new__(type(self))
        twin.__dict__.update(values)
        return twin
