"""A rehearsal at build time: finds shape errors before data is loaded.

The networks run as copies without storage (torch's meta device), which costs
nothing and gives the true shapes; auxiliary heads and losses then run for
real on random tensors of these channels and small height and width.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmkd.models.distillers.batch import BatchInfo
from mmkd.models.distillers.sides import aux_head_inputs, named_tensors
from mmkd.taps import Taps, Tensors

if TYPE_CHECKING:
    from mmkd.models.distillers.offline import OfflineDistiller

BATCH = 2
SIDE = 16  # largest height and width on which losses are tried


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
    shape = tuple(input_shape or _default_shape(distiller))
    rows = BATCH * _rows_per_image(distiller)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            student = _rehearse(
                distiller.student, distiller.student_taps, rows, shape
            )
            teachers = [
                _rehearse(teacher.network, teacher.taps, rows, shape)
                for teacher in distiller.teachers
            ]
        except Exception as error:  # any operator may lack a meta form
            print_log(
                f'dry run skipped: a network did not run on an input of '
                f'{(rows, *shape)} ({type(error).__name__}: {error}); give '
                'model.input_shape=(C, H, W), or dry_run=False',
                logger='current',
                level=logging.WARNING,
            )
            return None
        report = DryRunReport(shape, student, teachers)
        _try_losses(distiller, report, rows)
    return report


def _default_shape(distiller: OfflineDistiller) -> tuple[int, ...]:
    size = getattr(distiller.data_preprocessor, 'size', None)
    if isinstance(size, int):
        size = (size, size)
    return (3, *(size or (224, 224)))


def _rows_per_image(distiller: OfflineDistiller) -> int:
    return getattr(distiller.views, 'num_rotations', 1)


def _rehearse(
    network: nn.Module, taps: Taps, rows: int, shape: tuple[int, ...]
) -> SideReport:
    clone = _meta_copy(network).eval()
    taps = taps.on(clone)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), taps.recording() as record, counter:
        clone(torch.empty(rows, *shape, device='meta'), mode='tensor')
    flops = counter.get_total_flops()
    seen = {name: record[name] for name in taps.paths if record.ran(name)}
    return SideReport(flops / 2 / rows, seen)


def _meta_copy(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` without storage."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(
            parameter.detach().to('meta'), requires_grad=False
        )
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.detach().to('meta')
    return copy.deepcopy(network, memo)


def _try_losses(
    distiller: OfflineDistiller, report: DryRunReport, rows: int
) -> None:
    shrink = _Shrink(
        [report.student.taps, *(side.taps for side in report.teachers)],
        report.input_shape,
    )
    modules = [distiller.losses, distiller.aux_heads]
    training = {m: m.training for top in modules for m in top.modules()}
    for top in modules:
        top.eval()
    try:
        with torch.no_grad():
            _try_terms(distiller, report, rows, shrink)
    finally:
        for module, mode in training.items():
            module.training = mode


def _try_terms(
    distiller: OfflineDistiller,
    report: DryRunReport,
    rows: int,
    shrink: _Shrink,
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
                {n: shrink(value) for n, value in side.taps.items()},
            )
        )
    info = _dummy_info(distiller, rows, shrink)
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
                f'student {n} {_shapes(report.student.taps.get(n))}'
                for n in term.student
            ] + [
                f'teacher {n} '
                f'{_shapes(report.teachers[term.teacher_index].taps.get(n))}'
                for n in term.teacher
            ]
            raise ValueError(
                f'losses.{term.name} '
                f'({type(distiller.losses[term.name]).__name__}) does not '
                f'fit its tensors [{"; ".join(true)}]: {error} (found by the '
                'dry run, which tries losses on reduced height and width; '
                'model.dry_run=False skips it)'
            ) from error


def _try_heads(
    heads: nn.ModuleDict,
    configs: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
    taps: dict[str, Tensors],
) -> dict[str, Tensors]:
    """Return the taps and the outputs of the auxiliary heads on them."""
    for name in wanted:
        try:
            taps |= named_tensors(taps, heads, configs, [name])
        except KeyError:
            continue  # its module runs in training alone
        except (ValueError, TypeError, RuntimeError) as error:
            inputs = [
                _shapes(taps.get(source))
                for source in aux_head_inputs(configs[name])
            ]
            raise ValueError(
                f'aux_heads.{name} ({type(heads[name]).__name__}) does not '
                f'fit its input {"; ".join(inputs)}: {error}'
            ) from error
    return taps


def _dummy_info(
    distiller: OfflineDistiller, rows: int, shrink: _Shrink
) -> BatchInfo:
    info = BatchInfo(None, torch.device('cpu'))
    size: tuple[int, ...] = (rows,)
    if hasattr(distiller.student, 'decode_head'):
        size = (rows, *shrink.size)
    zeros = torch.zeros(size, dtype=torch.long)
    info._values = dict(
        labels=zeros,
        view_labels=torch.zeros(rows, dtype=torch.long),
        sample_idx=torch.arange(rows),
        epoch=0,
        iteration=0,
    )
    return info


class _Shrink:
    """Random tensors with the shapes of taps, height and width reduced.

    Equal sizes stay equal and different sizes stay different.
    """

    def __init__(
        self, sides: Iterable[dict[str, Tensors]], shape: tuple[int, ...]
    ) -> None:
        dims = sorted(
            {
                size
                for side in sides
                for value in side.values()
                for tensor in _as_list(value)
                if tensor.dim() == 4
                for size in tensor.shape[2:]
            }
        )
        factor = math.ceil(max(dims, default=1) / SIDE)
        self.map: dict[int, int] = {}
        for size in dims:
            small = math.ceil(size / factor)
            while small in self.map.values():
                small += 1
            self.map[size] = small
        self.size = tuple(math.ceil(size / factor) for size in shape[1:])

    def __call__(self, value: Tensors) -> Tensors:
        tensors = []
        for tensor in _as_list(value):
            size = list(tensor.shape)
            if tensor.dim() == 4:
                size[2:] = [self.map[dim] for dim in size[2:]]
            tensors.append(torch.randn(size))
        return tensors if isinstance(value, list) else tensors[0]


def _as_list(value: Tensors) -> list[torch.Tensor]:
    return value if isinstance(value, list) else [value]


def _shapes(value: Tensors | None) -> str:
    if value is None:
        return '(auxiliary head)'
    return ', '.join(str(tuple(tensor.shape)) for tensor in _as_list(value))
