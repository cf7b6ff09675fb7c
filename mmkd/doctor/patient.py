"""A distiller and some batches, and what all its networks say to them."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from mmkd.doctor.answers import Answers, ask
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.models.distillers.teacher import Teacher
from mmkd.taps import Tensors


@dataclass
class Shown:
    """A batch as the student sees it.

    Args:
        images: (N, C, H, W), preprocessed; the first view of each.
        samples: of the batch.
        inputs: what a step is given: the images, or a list of views.
    """

    images: torch.Tensor
    samples: list[Any]
    inputs: Any


class Patient:
    """What the checks look at; everything is computed once.

    It works on a copy: weights, statistics, banks and random state of the
    distiller stay as they are.

    Args:
        distiller: with frozen teachers, or without.
        batches: as a data loader gives them.
        seconds: after which no further candidates are tried.
    """

    def __init__(
        self,
        distiller: OfflineDistiller,
        batches: Sequence[Mapping[str, Any]],
        seconds: float,
    ) -> None:
        self.distiller = copy.deepcopy(distiller).train()
        self._ends = _worked() + seconds
        self.batches = [self._prepared(batch) for batch in batches]

    def _prepared(self, batch: Mapping[str, Any]) -> Shown:
        preprocessor: Any = self.distiller.data_preprocessor
        mixing = getattr(preprocessor, 'batch_augments', None)
        if mixing is not None:
            preprocessor.batch_augments = None
        data = preprocessor(copy.deepcopy(dict(batch)), True)
        inputs = data['inputs']
        images = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
        return Shown(images, list(data.get('data_samples') or []), inputs)

    @property
    def has_time(self) -> bool:
        """Whether further candidates may be tried."""
        return _worked() < self._ends

    @property
    def teachers(self) -> list[tuple[str, Teacher]]:
        """Label and teacher of the frozen ones."""
        roles = {id(role.network): role.label for role in self.distiller.roles}
        return [
            (roles[id(teacher.network)], teacher)
            for teacher in self.distiller.teachers
        ]

    @cached_property
    def answers(self) -> dict[str, list[Answers]]:
        """Label of a teacher -> its answers to every batch."""
        return {
            label: [
                ask(
                    t.network, self.cast(t, t.renormalize(b.images)), b.samples
                )
                for b in self.batches
            ]
            for label, t in self.teachers
        }

    @cached_property
    def student_answers(self) -> list[Answers]:
        """The student's, in eval mode."""
        network = copy.deepcopy(self.distiller.student).eval()
        return [ask(network, b.images, b.samples) for b in self.batches]

    @staticmethod
    def cast(teacher: Teacher, images: torch.Tensor) -> torch.Tensor:
        """Return images in the precision of a teacher."""
        return images if teacher.dtype is None else images.to(teacher.dtype)

    @cached_property
    def tensors(self) -> dict[str, dict[str, Tensors]]:
        """Label -> name -> tensor of the first batch, as losses read it."""
        return {k: dict(v) for k, v in self._step[1].items()}

    @cached_property
    def losses(self) -> dict[str, torch.Tensor]:
        """Log name -> loss of the first batch, with its graph."""
        return self._step[0]

    @cached_property
    def _step(self) -> tuple[dict[str, Any], Mapping[str, Any]]:
        batch = self.batches[0]
        samples = [sample.clone() for sample in batch.samples]
        with torch.enable_grad():
            run = self.distiller.run(batch.inputs, samples)
            found = {
                k: _total(v) for k, v in run.losses.items() if 'loss' in k
            }
            for number, part in enumerate(self.distiller.parts):
                given = part.losses(run.tensors, run.batch).get(None, {})
                for name, value in given.items():
                    found[f'{number}|{name}'] = value
        return found, run.tensors

    @property
    def task_names(self) -> list[str]:
        """The names of the student's own losses among `losses`."""
        return [name for name in self.losses if '|' not in name]

    @cached_property
    def gradients(self) -> dict[str, torch.Tensor]:
        """Log name -> gradient on all the student's weights, flat."""
        weights = [
            p for p in self.distiller.student.parameters() if p.requires_grad
        ]
        return {
            name: _gradient(value, weights)
            for name, value in self.losses.items()
        }


def _worked() -> float:
    """Return seconds of work, whatever else the machine does."""
    return time.process_time() / max(torch.get_num_threads(), 1)


def _total(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.mean()
    return torch.stack([entry.mean() for entry in value]).sum()


def _gradient(
    value: torch.Tensor, weights: Sequence[nn.Parameter]
) -> torch.Tensor:
    zero = torch.zeros(1)
    if not weights or not value.requires_grad:
        return zero
    found = torch.autograd.grad(
        value.sum(), weights, retain_graph=True, allow_unused=True
    )
    return torch.cat(
        [
            (torch.zeros_like(w) if g is None else g).flatten().cpu()
            for w, g in zip(weights, found, strict=True)
        ]
    )
