"""A loss of the config, bound to the tensors it reads."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.batch import BatchInfo
from mmkd.taps import Tensors

On = str | Sequence[str] | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class LossTerm:
    """Which tensors and batch values go into one loss.

    Args:
        name: key of the config's ``losses``; logged as ``loss_<name>``.
        student: names of the student's tensors, in order.
        teacher: names of the teacher's tensors, in order; they follow the
            student's.
        extras: names of batch values passed by keyword.
        teacher_index: which teacher.
        weight: factor on the result (1 / number of teachers).
    """

    name: str
    student: tuple[str, ...]
    teacher: tuple[str, ...]
    extras: tuple[str, ...]
    teacher_index: int = 0
    weight: float = 1.0

    def __call__(
        self,
        loss: nn.Module,
        student: Mapping[str, Tensors],
        teacher: Mapping[str, Tensors],
        info: BatchInfo,
    ) -> dict[str, torch.Tensor]:
        """Compute the loss.

        Returns:
            Log name -> scalar.

        Raises:
            TypeError: the loss returned neither a tensor nor a dict of
                tensors with names ``loss_…``.
        """
        result = loss(
            *self.tensors(student, teacher),
            **{extra: info[extra] for extra in self.extras},
        )
        if isinstance(result, torch.Tensor):
            return {f'loss_{self.name}': result * self.weight}
        if not isinstance(result, dict) or not all(
            key.startswith('loss_') for key in result
        ):
            raise TypeError(
                f'losses.{self.name}: {type(loss).__name__} must return a '
                'tensor or a dict of tensors named "loss_...", got '
                f'{result if isinstance(result, dict) else type(result)}'
            )
        if self.weight != 1.0:
            result = {
                f'{key}_t{self.teacher_index}': value * self.weight
                for key, value in result.items()
            }
        return result

    def tensors(
        self, student: Mapping[str, Tensors], teacher: Mapping[str, Tensors]
    ) -> list[Tensors]:
        """Return the positional arguments of the loss."""
        return [student[name] for name in self.student] + [
            teacher[name] for name in self.teacher
        ]

    def inputs(self) -> str:
        """Return the arguments as text, for summary and messages."""
        parts = [f'student {name}' for name in self.student]
        parts += [f'teacher {name}' for name in self.teacher]
        return ', '.join([*parts, *self.extras])


def build_losses(
    configs: Mapping[str, Mapping[str, Any]],
    num_teachers: int,
    has_views: bool = False,
) -> tuple[ModuleDict, list[LossTerm]]:
    """Build the losses of a config and bind them to what they read.

    With several teachers, a loss that reads one and does not say which by
    ``teacher=k`` is built once for each, with weight 1 / number.

    Raises:
        KeyError, ValueError, TypeError: the message names the loss.
    """
    losses, terms = ModuleDict(), []
    for name, config in configs.items():
        cfg = copy.deepcopy(dict(config))
        if 'on' not in cfg:
            raise KeyError(
                f'losses.{name} has no key "on": name the tap or auxiliary '
                'head that it reads'
            )
        on, index = cfg.pop('on'), cfg.pop('teacher', None)
        if index is not None and not 0 <= index < num_teachers:
            raise ValueError(
                f'losses.{name}: teacher={index}, but there are '
                f'{num_teachers} teachers (counted from 0)'
            )
        loss = ROOT_MODELS.build(copy.deepcopy(cfg))
        term = bind_loss(
            name, loss, on, has_teacher=num_teachers > 0, has_views=has_views
        )
        if not term.teacher or index is not None or num_teachers == 1:
            losses[name] = loss
            terms.append(replace(term, teacher_index=index or 0))
            continue
        for k in range(num_teachers):
            key = f'{name}_t{k}'
            if key in configs:
                raise ValueError(
                    f'losses.{key} has the name that losses.{name} gets for '
                    f'teacher {k}: rename one'
                )
            losses[key] = ROOT_MODELS.build(copy.deepcopy(cfg))
            share = replace(term, name=key, weight=1 / num_teachers)
            terms.append(replace(share, teacher_index=k))
    return losses, terms


def bind_loss(
    name: str,
    loss: nn.Module,
    on: On,
    *,
    has_teacher: bool,
    has_views: bool = False,
) -> LossTerm:
    """Match ``on`` with the signature of the loss's ``forward``.

    A name or list of names stands for the student's tensors followed by the
    teacher's; a loss that takes only as many tensors as there are names, none
    of them called a teacher's, gets the student's alone.

    Raises:
        TypeError: ``forward`` needs what cannot be supplied.
    """
    available = set(BatchInfo.NAMES)
    if not has_views:
        available.discard('view_labels')
    tensors, extras = _signature(loss, available)
    if 'view_labels' in tensors:
        raise TypeError(
            f'losses.{name}: {type(loss).__name__}.forward asks for '
            'view_labels, but there are no views; add views=dict(type=...)'
        )
    if isinstance(on, Mapping):
        unknown = set(on) - {'student', 'teacher'}
        if unknown:
            raise KeyError(
                f'losses.{name}: on={dict(on)} has the unknown key '
                f'{sorted(unknown)}; write on=dict(student=..., teacher=...)'
            )
        student = _names(on.get('student', ()))
        teacher = _names(on.get('teacher', ()))
    else:
        student = _names(on)
        alone = len(tensors) == len(student) and not any(
            'teacher' in tensor for tensor in tensors
        )
        teacher = () if alone else student
    if teacher and not has_teacher:
        raise TypeError(
            f'losses.{name}: {type(loss).__name__}.forward takes '
            f'{", ".join(tensors)}, so it reads a teacher, but teacher=None; '
            'give a teacher=dict(config=..., checkpoint=...)'
        )
    if len(student) + len(teacher) != len(tensors):
        raise TypeError(
            f'losses.{name}: {type(loss).__name__}.forward needs '
            f'{len(tensors)} value(s) ({", ".join(tensors)}), on={on!r} '
            f'gives {len(student)} of the student and {len(teacher)} of the '
            f'teacher; by name the distiller can supply '
            f'{", ".join(sorted(available))}'
        )
    return LossTerm(name, student, teacher, extras)


def _names(on: str | Sequence[str]) -> tuple[str, ...]:
    return (on,) if isinstance(on, str) else tuple(on)


def _signature(
    loss: nn.Module, available: set[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Return the required tensor arguments and the batch values named."""
    tensors, extras = [], []
    for parameter in inspect.signature(loss.forward).parameters.values():
        if parameter.name in available:
            extras.append(parameter.name)
        elif (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_KEYWORD
        ):
            tensors.append(parameter.name)
    return tensors, tuple(extras)
