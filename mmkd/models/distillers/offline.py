"""Distillation from frozen teachers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.base import BaseDistiller, build_preprocessor
from mmkd.models.distillers.batch import BatchInfo
from mmkd.models.distillers.dry_run import dry_run as run_dry
from mmkd.models.distillers.loss_terms import LossTerm, bind_loss
from mmkd.models.distillers.sides import (
    Teacher,
    build_aux_heads,
    named_tensors,
    names_needed,
)
from mmkd.models.distillers.summary import summarize
from mmkd.models.distillers.task_loss import loss_on_rows
from mmkd.networks import build_network, network_dict
from mmkd.registry import MODELS
from mmkd.taps import Taps, Tensors


@MODELS.register_module()
class OfflineDistiller(BaseDistiller):
    """Train a student under frozen teachers.

    loss = the student's own task loss + the sum of ``losses``. The student
    runs once per step and its ``loss`` is called unchanged; the teachers run
    forward only. Only the student is evaluated, and what is saved is
    ``student.…``, ``aux_heads.…`` and the state of the losses.

    Args:
        student: network: config name, model dict or ``_base_.model``.
        teacher: ``dict(config=..., checkpoint=...)``, a list of those, or
            None (training with auxiliary heads only). Further keys:
            ``strict``, ``allow_pickle``, ``cfg_options``.
        taps: name -> module path (see `mmkd.taps`), a list of paths, or
            ``dict(student=..., teacher=...)`` where they differ.
        aux_heads: name -> training-only module on the taps (or other heads)
            that its key ``on`` names. The teacher gets its own, with weights
            from its checkpoint, where a loss reads it on the teacher's side.
        views: dict of a view set, e.g. `RotationViews`.
        losses: name -> loss. The key ``on`` names the tensors (one name for
            both sides, a list, or ``dict(student=..., teacher=...)``), and
            ``teacher=k`` picks one of several teachers; without it every
            teacher has its own copy of the loss with weight 1 / number.
        data_preprocessor: defaults to the student's.
        dry_run: try taps and losses on small random tensors when built.
        input_shape: (C, H, W) of the dry run; defaults to the size that the
            data preprocessor pads to, else (3, 224, 224).
        check_labels: see `BaseDistiller`.
        check_finite: stop at a non-finite loss, before the step.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError, TypeError, KeyError, FileNotFoundError: a part of the
            config does not fit; the message names the key and the cure.
    """

    def __init__(
        self,
        student: Any,
        teacher: Any = None,
        taps: Mapping[str, Any] | None = None,
        aux_heads: Mapping[str, Any] | None = None,
        views: Mapping[str, Any] | None = None,
        losses: Mapping[str, Any] | None = None,
        data_preprocessor: Any = None,
        dry_run: bool = True,
        input_shape: Sequence[int] | None = None,
        check_labels: bool = True,
        check_finite: bool = True,
        init_cfg: dict | None = None,
        **unexpected: Any,
    ) -> None:
        self.refuse_network_keys(unexpected)
        student_dict = network_dict(student)
        scope = student_dict['_scope_']
        network = build_network(student_dict)
        super().__init__(
            build_preprocessor(data_preprocessor, network, scope),
            check_labels,
            init_cfg,
        )
        self.student = network
        self.check_finite = check_finite
        self.views = ROOT_MODELS.build(dict(views)) if views else None

        self._teachers = self._build_teachers(teacher, scope)
        self.losses = ModuleDict()
        self.terms: list[LossTerm] = []
        self._build_losses(losses or {})
        self._bind(dict(taps or {}), dict(aux_heads or {}))

        report = run_dry(self, input_shape) if dry_run else None
        print_log(summarize(self, report), logger='current')

    # -- building ---------------------------------------------------------

    def _build_teachers(self, given: Any, scope: str) -> tuple[Teacher, ...]:
        """Build the teachers; a tuple, so that they are not submodules."""
        if given is None:
            return ()
        specs = given if isinstance(given, (list, tuple)) else [given]
        teachers = []
        for spec in specs:
            if not isinstance(spec, Mapping) or not (
                {'config', 'checkpoint'} <= set(spec)
            ):
                raise KeyError(
                    f'model.teacher={spec!r}: give dict(config=..., '
                    'checkpoint=...), a list of those, or None'
                )
            teachers.append(
                Teacher(
                    student_preprocessor=self.data_preprocessor,
                    scope=scope,
                    **copy.deepcopy(dict(spec)),
                )
            )
        return tuple(teachers)

    def _build_losses(self, configs: Mapping[str, Any]) -> None:
        for name, config in configs.items():
            cfg = copy.deepcopy(dict(config))
            if 'on' not in cfg:
                raise KeyError(
                    f'losses.{name} has no key "on": name the tap or '
                    'auxiliary head that it reads'
                )
            on = cfg.pop('on')
            index = cfg.pop('teacher', None)
            count = len(self._teachers)
            if index is not None and not 0 <= index < count:
                raise ValueError(
                    f'losses.{name}: teacher={index}, but there are {count} '
                    'teachers (counted from 0)'
                )
            loss = ROOT_MODELS.build(copy.deepcopy(cfg))
            term = bind_loss(
                name,
                loss,
                on,
                has_teacher=count > 0,
                has_views=self.views is not None,
            )
            if not term.teacher or index is not None or count == 1:
                self.losses[name] = loss
                self.terms.append(replace(term, teacher_index=index or 0))
                continue
            for k in range(count):
                key = f'{name}_t{k}'
                self.losses[key] = ROOT_MODELS.build(copy.deepcopy(cfg))
                self.terms.append(
                    replace(term, name=key, teacher_index=k, weight=1 / count)
                )

    def _bind(self, taps: dict[str, Any], aux: dict[str, Any]) -> None:
        """Connect losses, auxiliary heads and taps on both sides."""
        for name, config in aux.items():
            if 'on' not in config:
                raise KeyError(
                    f'aux_heads.{name} has no key "on": name the tap it reads'
                )
            if name in taps:
                raise ValueError(
                    f'"{name}" is both a tap and an auxiliary head: rename one'
                )
        known = [*taps, *aux]
        student_wanted = [n for term in self.terms for n in term.student]
        for name in [
            *student_wanted,
            *(n for term in self.terms for n in term.teacher),
        ]:
            if name not in known:
                raise KeyError(
                    f'losses read "{name}", which is neither in taps nor in '
                    f'aux_heads; known: {", ".join(known) or "none"}'
                )
        sides = {
            side: {n: _of_side(p, side, n) for n, p in taps.items()}
            for side in ('student', 'teacher')
        }
        self.student_wanted = list(dict.fromkeys(student_wanted))
        tap_names, head_names = names_needed(self.student_wanted, aux)
        for name in names_needed(list(aux), aux)[0]:
            if name not in taps:
                raise KeyError(
                    f'aux_heads read "{name}", which is neither in taps nor '
                    f'in aux_heads; known: {", ".join(known) or "none"}'
                )
        used = {n: p for n, p in sides['student'].items() if p is not None}
        self.student_taps = Taps(self.student, used)
        self.aux_configs = {name: aux[name] for name in head_names}
        self.aux_heads = build_aux_heads(self.aux_configs, self.student)
        for index, teacher in enumerate(self._teachers):
            wanted = [
                name
                for term in self.terms
                if term.teacher_index == index
                for name in term.teacher
            ]
            teacher.attach(sides['teacher'], aux, list(dict.fromkeys(wanted)))
            head_names += list(teacher.aux_heads)
        idle = sorted(set(aux) - set(head_names))
        if idle:
            raise ValueError(
                f'aux_heads.{idle[0]} is read by no loss: remove it or name '
                'it in the "on" of a loss'
            )

    # -- properties -------------------------------------------------------

    @property
    def deployed(self) -> nn.Module:
        """The student."""
        return self.student

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """The frozen teachers."""
        return self._teachers

    def _apply(self, fn: Any, recurse: bool = True) -> OfflineDistiller:
        """Move the teachers along with the student."""
        super()._apply(fn, recurse)
        for teacher in self._teachers:
            teacher._apply(fn)
        return self

    # -- a step -----------------------------------------------------------

    def loss(self, inputs: torch.Tensor, data_samples: list | None) -> dict:
        """Return the task losses and the distillation losses of a batch.

        Shape:
            inputs: (N, C, H, W).
            returns: log name -> scalar.
        """
        self.validate_labels(self.student, data_samples)
        view_labels = None
        images = inputs
        if self.views is not None:
            labels = BatchInfo(data_samples, inputs.device)['labels']
            images, view_labels = self.views(inputs, labels)
        info = BatchInfo(data_samples, inputs.device, view_labels)

        taught = [teacher(images) for teacher in self._teachers]
        losses, learned = self._run_student(images, data_samples)
        sources: dict[str, Mapping[str, Tensors]] = {
            name: {'images': images} for name in losses
        }
        for term in self.terms:
            teacher = taught[term.teacher_index] if taught else {}
            values = term(self.losses[term.name], learned, teacher, info)
            repeated = losses.keys() & values.keys()
            if repeated:
                raise KeyError(
                    f'losses.{term.name} gives {sorted(repeated)}, a name '
                    'that is already taken: rename this loss'
                )
            losses.update(values)
            origin = {f'student {n}': learned[n] for n in term.student}
            origin |= {f'teacher {n}': teacher[n] for n in term.teacher}
            sources.update(dict.fromkeys(values, origin))
        if self.check_finite:
            self.require_finite(
                {k: v for k, v in losses.items() if 'loss' in k}, sources
            )
        return losses

    def _run_student(
        self, images: torch.Tensor, data_samples: list | None
    ) -> tuple[dict[str, Any], dict[str, Tensors]]:
        with self.student_taps.recording() as record:
            if self.views is None:
                losses = self.student(images, data_samples, mode='loss')
            else:
                rows = self.views.task_rows(len(data_samples or ()))
                losses = loss_on_rows(
                    self.student, images, data_samples, rows, record
                )
        learned = named_tensors(
            record, self.aux_heads, self.aux_configs, self.student_wanted
        )
        return dict(losses), learned


def _of_side(path: Any, side: str, name: str) -> Any:
    """Return the path of one side; None if the tap is not on that side."""
    if not isinstance(path, Mapping):
        return path
    if not set(path) <= {'student', 'teacher'}:
        raise KeyError(
            f'taps.{name}={dict(path)}: write dict(student=..., teacher=...)'
        )
    return path.get(side)
