"""A loss of the config, bound to the tensors it reads."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.binding import (
    BATCH_VALUES,
    forward_arguments,
    named_losses,
)
from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.filling import Shapes, class_of, fill
from mmkd.models.distillers.parts import ByPhase, Named, Part
from mmkd.models.distillers.resizing import (
    check_resize,
    config_line,
    resized,
    resized_labels,
    resized_shape,
    size_hint,
)
from mmkd.taps import Tensors
from mmkd.utils.settings import require_dict

On = str | Sequence[str] | Mapping[str, str | Sequence[str]]
#: label, name -> shapes as a rehearsal saw them, None if it did not
ShapeOf = Callable[[str, str], Shapes]

#: bytes of buffers that the summary tells of
LARGE = 5e7


@dataclass(frozen=True)
class TermSpec:
    """A loss of the config before it is built.

    Args:
        name: key of the config's ``losses``; logged as ``loss_<name>``.
        config: what is built.
        student: names of the student's tensors, in order.
        teacher: names of the teacher's tensors, in order; they follow the
            student's.
        extras: names of batch values passed by keyword.
        teacher_index: which teacher.
        weight: factor on the result (1 / number of teachers).
        resize: whose maps get the height and width of the other side's:
            ``'student'``, ``'teacher'``, or None.
    """

    name: str
    config: Mapping[str, Any]
    student: tuple[str, ...]
    teacher: tuple[str, ...]
    extras: tuple[str, ...]
    teacher_index: int = 0
    weight: float = 1.0
    resize: str | None = None

    def build(
        self, labels: Sequence[str], shape: ShapeOf, classes: int | None
    ) -> LossTerm:
        """Build the loss.

        Args:
            labels: of student and teachers.
            shape: of what is read, for arguments that the config leaves
                out (see `mmkd.models.distillers.filling`).
            classes: of the student.
        """

        teacher = labels[1 + self.teacher_index] if self.teacher else ''

        def own(side: str) -> Shapes:
            if side == 'in':
                side = 'student' if self.student else 'teacher'
            if side == 'student':
                label, names = labels[0], self.student
            else:
                label, names = teacher, self.teacher
            return shape(label, names[0]) if names else None

        def seen(side: str) -> Shapes:
            if side != self.resize:
                return own(side)
            other = 'teacher' if side == 'student' else 'student'
            return resized_shape(own(side), own(other))

        key = f'losses.{self.name}'
        loss = ROOT_MODELS.build(fill(key, self.config, seen, classes))
        return LossTerm(loss, self, teacher)


class LossTerm(Part):
    """A loss between the student and one teacher.

    Args:
        loss: the module.
        spec: what it reads.
        teacher: label of its teacher; empty if it reads none.
    """

    def __init__(self, loss: nn.Module, spec: TermSpec, teacher: str) -> None:
        super().__init__(loss, f'losses.{spec.name} ({type(loss).__name__})')
        self.spec = spec
        self.teacher = teacher

    def reads(self) -> list[tuple[str, str]]:
        """Return (label of a role, name) of every tensor that is read."""
        return [('student', name) for name in self.spec.student] + [
            (self.teacher, name) for name in self.spec.teacher
        ]

    def trains(self) -> list[tuple[str, Sequence[str]]]:
        """Return the student, unless the loss reads its teacher alone."""
        return [('student', self.spec.student)] if self.spec.student else []

    def tensors(self, tensors: Named) -> list[Tensors]:
        """Return the positional arguments of the loss."""
        found = [tensors[label][name] for label, name in self.reads()]
        if self.spec.resize is None:
            return found
        return resized(self.spec.name, found, self.spec.resize)

    def hint(self, tensors: Named, size: Sequence[int]) -> str:
        """Return strides and the cure, where heights or widths differ."""
        spec = self.spec
        if spec.resize is not None:
            return ''
        name = spec.name
        if spec.weight != 1.0:  # one of several teachers
            name = name.removesuffix(f'_t{spec.teacher_index}')
        line = config_line(name, spec.config, spec.student, spec.teacher)
        found = [tensors[label][name] for label, name in self.reads()]
        return size_hint(line, self.reads(), found, size)

    def losses(self, tensors: Named, batch: Batch) -> ByPhase:
        """Return the losses of every phase.

        A loss of weight 0 without state of its own is not computed.

        Raises:
            TypeError: the loss returned neither a tensor nor a dict of
                tensors with names ``loss_…``.
        """
        if self._idle:
            label, name = self.reads()[0]
            read = tensors[label][name]
            read = read if isinstance(read, torch.Tensor) else read[0]
            zero = read.new_zeros((), dtype=torch.float32)
            return {None: self._named(zero)}
        inputs = self.tensors(tensors)
        extras = {name: batch[name] for name in self.spec.extras}
        if self.spec.resize is not None and 'labels' in extras:
            extras['labels'] = resized_labels(extras['labels'], inputs)
        found: ByPhase = {None: self._named(self.module(*inputs, **extras))}
        for phase in self.phases:
            given = self.module.phase_losses(  # type: ignore[operator]
                phase, *inputs, **extras
            )
            found[phase] = self._named(given, f'{self.spec.name}_{phase}')
        return found

    @property
    def _idle(self) -> bool:
        """Whether the loss has weight 0, and nothing to train or keep."""
        return getattr(self.module, 'loss_weight', None) == 0 and not (
            self.phases or self.module.state_dict()
        )

    def _named(self, result: Any, name: str = '') -> dict[str, Any]:
        spec = self.spec
        single = not isinstance(result, Mapping)
        losses = named_losses(
            result,
            name or spec.name,
            f'losses.{spec.name}: {type(self.module).__name__}',
        )
        if spec.weight == 1.0:
            # times 1.0, so that the sum is the same with any number
            return (
                {k: v * spec.weight for k, v in losses.items()}
                if (single)
                else losses
            )
        suffix = '' if single else f'_t{spec.teacher_index}'
        return {f'{k}{suffix}': v * spec.weight for k, v in losses.items()}

    def describe(self) -> str:
        """Return name, class, weight and what is read."""
        names = [f'{label} {name}' for label, name in self.reads()]
        if self.spec.resize is not None:
            names.append(f'{self.spec.resize} resized')
        return (
            f'{self.spec.name}: {type(self.module).__name__} x '
            f'{_weight(self.module, self.spec.weight)} '
            f'({", ".join([*names, *self.spec.extras])})'
            f'{_memory(self.module)}'
        )

    def name_for(self, name: str, phase: str | None, taken: bool) -> str:
        """Return ``name``.

        Raises:
            KeyError: it is taken.
        """
        if taken:
            raise KeyError(
                f'losses.{self.spec.name} gives {name}, a name that is '
                'already taken: rename this loss'
            )
        return name


def _weight(loss: nn.Module, share: float) -> str:
    weights = {
        name: value
        for name, value in vars(loss).items()
        if name.endswith('loss_weight') and isinstance(value, (int, float))
    }
    factor = '' if share == 1.0 else f'{share:g} x '
    if not weights:
        return f'{factor}1'
    if set(weights) == {'loss_weight'}:
        return f'{factor}{weights["loss_weight"]:g}'
    return factor + ', '.join(f'{k}={v:g}' for k, v in weights.items())


def _memory(loss: nn.Module) -> str:
    """Return the size of large buffers, and whether they are saved."""
    buffers = dict(loss.named_buffers())
    size = sum(b.numel() * b.element_size() for b in buffers.values())
    if size < LARGE:
        return ''
    saved = loss.state_dict().keys()
    largest = max(buffers, key=lambda name: buffers[name].numel())
    where = 'in every checkpoint' if largest in saved else 'not in checkpoints'
    return f', {size / 1e9:.2f} GB of memory, {where}'


def bind_losses(
    configs: Mapping[str, Mapping[str, Any]],
    num_teachers: int,
    has_views: bool = False,
) -> list[TermSpec]:
    """Bind the losses of a config to what they read.

    With several teachers, a loss that reads one and does not say which by
    ``teacher=k`` stands once for each, with weight 1 / number.

    Raises:
        KeyError, ValueError, TypeError: the message names the loss.
    """
    specs = []
    require_dict('model.losses', configs, "kd=dict(type='mmkd.KLDivLoss')")
    for name, config in configs.items():
        require_dict(f'losses.{name}', config, "type=..., on='<a tap>'")
        cfg = copy.deepcopy(dict(config))
        if 'on' not in cfg:
            raise KeyError(
                f'losses.{name} has no key "on": name the tap or auxiliary '
                'head that it reads'
            )
        on, index = cfg.pop('on'), cfg.pop('teacher', None)
        resize = cfg.pop('resize', None)
        if index is not None and not isinstance(index, int):
            raise TypeError(
                f'losses.{name}: teacher={index!r} is no number: give the '
                'index of one of several teachers, from 0, or leave it out'
            )
        if index is not None and not 0 <= index < num_teachers:
            raise ValueError(
                f'losses.{name}: teacher={index}, but there are '
                f'{num_teachers} teachers (counted from 0)'
            )
        spec = _bind(name, cfg, on, num_teachers > 0, has_views)
        check_resize(name, resize, len(spec.student) == len(spec.teacher) > 0)
        spec = replace(spec, resize=resize)
        if not spec.teacher or index is not None or num_teachers == 1:
            specs.append(replace(spec, teacher_index=index or 0))
            continue
        for k in range(num_teachers):
            key = f'{name}_t{k}'
            if key in configs:
                raise ValueError(
                    f'losses.{key} has the name that losses.{name} gets for '
                    f'teacher {k}: rename one'
                )
            share = replace(spec, name=key, weight=1 / num_teachers)
            specs.append(replace(share, teacher_index=k))
    return specs


def _bind(
    name: str,
    config: Mapping[str, Any],
    on: On,
    has_teacher: bool,
    has_views: bool,
) -> TermSpec:
    """Match ``on`` with the signature of the loss's ``forward``.

    A name or list of names stands for the student's tensors followed by the
    teacher's; a loss that takes only as many tensors as there are names, none
    of them called a teacher's, gets the student's alone.

    Raises:
        TypeError: ``forward`` needs what cannot be supplied.
    """
    cls = class_of(config)
    if not inspect.isclass(cls):  # a function that builds the loss
        cls = type(ROOT_MODELS.build(copy.deepcopy(dict(config))))
    available = set(BATCH_VALUES)
    if not has_views:
        available.discard('view_labels')
    tensors, extras = forward_arguments(cls.forward, available)
    if 'view_labels' in tensors:
        raise TypeError(
            f'losses.{name}: {cls.__name__}.forward asks for '
            'view_labels, but there are no views; add views=dict(type=...)'
        )
    if isinstance(on, Mapping):
        unknown = set(on) - {'student', 'teacher'}
        if unknown:
            raise KeyError(
                f'losses.{name}: on={dict(on)} has the unknown key '
                f'{sorted(unknown)}; write on=dict(student=..., teacher=...)'
            )
        student = _names(name, on.get('student', ()))
        teacher = _names(name, on.get('teacher', ()))
    else:
        student = _names(name, on)
        alone = len(tensors) == len(student) and not any(
            'teacher' in tensor for tensor in tensors
        )
        teacher = () if alone else student
    if teacher and not has_teacher:
        raise TypeError(
            f'losses.{name}: {cls.__name__}.forward takes '
            f'{", ".join(tensors)}, so it reads a teacher, but teacher=None; '
            'give a teacher=dict(config=..., checkpoint=...)'
        )
    if len(student) + len(teacher) != len(tensors):
        raise TypeError(
            f'losses.{name}: {cls.__name__}.forward needs '
            f'{len(tensors)} value(s) ({", ".join(tensors)}), on={on!r} '
            f'gives {len(student)} of the student and {len(teacher)} of the '
            f'teacher; by name the distiller can supply '
            f'{", ".join(sorted(available))}'
        )
    return TermSpec(name, config, student, teacher, extras)


def _names(loss: str, on: Any) -> tuple[str, ...]:
    found = (on,) if isinstance(on, str) else on
    if not isinstance(found, (list, tuple)) or not all(
        isinstance(name, str) for name in found
    ):
        raise TypeError(
            f'losses.{loss}: on={on!r} must be the name of a tap or auxiliary '
            'head, a list of names, or dict(student=..., teacher=...)'
        )
    return tuple(found)
