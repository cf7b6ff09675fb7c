"""A rehearsal at build time: finds shape errors before data is loaded.

The networks run as copies without storage (torch's meta device), which costs
nothing and gives the true shapes; auxiliary heads and losses then run for
real on random tensors of these channels and small height and width (and,
where those are refused, of the true ones).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmkd.models.distillers.batch import BatchInfo
from mmkd.models.distillers.shrink import Shrink, shapes_of
from mmkd.models.distillers.sides import (
    aux_head_inputs,
    named_tensors,
    names_needed,
)
from mmkd.taps import Taps, Tensors
from mmkd.utils.meta_copy import meta_copy, meta_input
from mmkd.utils.modes import evaluating

if TYPE_CHECKING:
    from mmkd.models.distillers.offline import OfflineDistiller
    from mmkd.models.distillers.online import OnlineDistiller


BATCH = 2
SIDE = 16  # largest height and width on which losses are tried


class CannotRehearseError(Exception):
    """The network does not run on the input of the rehearsal."""


class DummyBatch(BatchInfo):
    """Labels and progress of a batch that does not exist.

    Args:
        size: (N,), or (N, H, W) of label maps.
        rows: number of view labels.
    """

    def __init__(self, size: Sequence[int], rows: int) -> None:
        super().__init__(None, torch.device('cpu'))
        self._values = dict(
            labels=torch.zeros(*size, dtype=torch.long),
            view_labels=torch.zeros(rows, dtype=torch.long),
            sample_idx=torch.arange(size[0]),
            epoch=0,
            iteration=0,
        )

    def hard_loss(self, logits: Any) -> torch.Tensor:
        """Return zero."""
        return torch.zeros(())


@dataclass
class SideReport:
    """What the rehearsal saw of one network."""

    multiply_adds: float | None = None
    taps: dict[str, Tensors] = field(default_factory=dict)


@dataclass
class DryRunReport:
    """Input shape (C, H, W) and what was seen of every network."""

    input_shape: tuple[int, ...]
    student: SideReport
    teachers: list[SideReport]


def dry_run(
    distiller: OfflineDistiller, input_shape: Sequence[int] | None = None
) -> DryRunReport | None:
    """Try taps, auxiliary heads and losses of ``distiller``.

    Random state, buffers and parameters stay as they are.

    Raises:
        ValueError: an auxiliary head or a loss refuses its tensors.
    """
    shape = tuple(input_shape or default_shape(distiller))
    rows = BATCH * rows_per_image(distiller)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            student = rehearse(
                distiller.student, distiller.student_taps, rows, shape
            )
            teachers = [
                rehearse(teacher.network, teacher.taps, rows, shape)
                for teacher in distiller.teachers
            ]
        except CannotRehearseError as error:
            print_log(
                f'dry run skipped: a network did not run on an input of '
                f'{(rows, *shape)} ({error}); give model.input_shape='
                '(C, H, W), or dry_run=False',
                logger='current',
                level=logging.WARNING,
            )
            return None
        report = DryRunReport(shape, student, teachers)
        _check_teacher_taps(distiller, report)
        _try_losses(distiller, report, rows)
    return report


def _check_teacher_taps(
    distiller: OfflineDistiller, report: DryRunReport
) -> None:
    """Refuse taps on modules that the forward pass alone does not run."""
    for teacher, side in zip(distiller.teachers, report.teachers, strict=True):
        for name in teacher.taps.paths:
            if name not in side.taps:
                raise ValueError(
                    f'taps.{name}="{teacher.taps.describe(name)}": this '
                    'module of the teacher does not run in a forward pass '
                    'without labels (it may serve training alone, as '
                    'auxiliary heads do); tap another one'
                )


def default_shape(
    distiller: OfflineDistiller | OnlineDistiller,
) -> tuple[int, ...]:
    """Return (C, H, W): the size that the preprocessor pads to, or 224."""
    size = getattr(distiller.data_preprocessor, 'size', None)
    if isinstance(size, int):
        size = (size, size)
    return (3, *(size or (224, 224)))


def rows_per_image(distiller: OfflineDistiller | OnlineDistiller) -> int:
    """Return how many views the networks see of one image."""
    return getattr(distiller.views, 'num_rotations', 1)


def rehearse(
    network: nn.Module, taps: Taps, rows: int, shape: tuple[int, ...]
) -> SideReport:
    clone = meta_copy(network).eval()
    taps = taps.on(clone)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), taps.recording() as record, counter:
        try:
            clone(meta_input(clone, rows, *shape), None, mode='tensor')
        except Exception as error:  # any operator may lack a meta form
            raise CannotRehearseError(
                f'{type(error).__name__}: {error}'
            ) from error
    flops = counter.get_total_flops()
    seen = {name: record[name] for name in taps.paths if record.ran(name)}
    return SideReport(flops / 2 / rows, seen)


def _try_losses(
    distiller: OfflineDistiller, report: DryRunReport, rows: int
) -> None:
    sides = [report.student.taps, *(side.taps for side in report.teachers)]
    with evaluating(distiller.losses, distiller.aux_heads):
        try:
            small = Shrink(sides, report.input_shape, SIDE)
            _try_terms(distiller, report, rows, small)
        except ValueError:  # some modules need the true sizes
            true = Shrink(sides, report.input_shape)
            _try_terms(distiller, report, rows, true)


def _try_terms(
    distiller: OfflineDistiller,
    report: DryRunReport,
    rows: int,
    shrink: Shrink,
) -> None:
    sides = [
        _try_heads(
            distiller.aux_heads,
            distiller.aux_configs,
            distiller.student_wanted,
            {n: shrink(value) for n, value in report.student.taps.items()},
        )
    ]
    for teacher, side in zip(distiller.teachers, report.teachers, strict=True):
        sides.append(
            _try_heads(
                teacher.aux_heads,
                teacher.aux_configs,
                teacher.wanted,
                {
                    n: _cast(shrink(value), teacher.dtype)
                    for n, value in side.taps.items()
                },
            )
        )
    size: tuple[int, ...] = (BATCH,)
    if hasattr(distiller.student, 'decode_head'):
        size = (BATCH, *shrink.size)
    info = DummyBatch(size, rows)
    for term in distiller.terms:
        student = sides[0]
        taught = sides[1 + term.teacher_index] if len(sides) > 1 else {}
        if not set(term.student) <= set(student) or not (
            set(term.teacher) <= set(taught)
        ):
            continue
        try:
            term(distiller.losses[term.name], student, taught, info)
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            true = [
                f'student {n} {shapes_of(report.student.taps.get(n))}'
                for n in term.student
            ] + [
                f'teacher {n} '
                f'{shapes_of(report.teachers[term.teacher_index].taps.get(n))}'
                for n in term.teacher
            ]
            raise ValueError(
                f'losses.{term.name} '
                f'({type(distiller.losses[term.name]).__name__}) does not '
                f'fit its tensors [{"; ".join(true)}]: {error} (found by the '
                'dry run; model.dry_run=False skips it)'
            ) from error


def _cast(value: Tensors, dtype: torch.dtype | None) -> Tensors:
    """Return the tensors in the precision of their network."""
    if dtype is None:
        return value
    if isinstance(value, list):
        return [tensor.to(dtype) for tensor in value]
    return value.to(dtype)


def _try_heads(
    heads: nn.ModuleDict,
    configs: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
    taps: dict[str, Tensors],
) -> dict[str, Tensors]:
    """Return the taps and the outputs of the auxiliary heads on them."""
    for name in wanted:
        if not set(names_needed([name], configs)[0]) <= set(taps):
            continue  # a module that runs in training alone
        try:
            taps |= named_tensors(taps, heads, configs, [name])
        except (ValueError, TypeError, RuntimeError) as error:
            inputs = [
                shapes_of(taps.get(source))
                for source in aux_head_inputs(configs[name])
            ]
            raise ValueError(
                f'aux_heads.{name} ({type(heads[name]).__name__}) does not '
                f'fit its input {"; ".join(inputs)}: {error}'
            ) from error
    return taps
