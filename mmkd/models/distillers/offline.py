"""Distillation from frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.batch import BatchInfo
from mmkd.models.distillers.dry_run import dry_run as run_dry
from mmkd.models.distillers.loss_terms import build_losses
from mmkd.models.distillers.sides import (
    build_aux_heads,
    check_joint_heads,
    check_names,
    named_tensors,
    names_needed,
    paths_by_side,
    refuse_idle,
    require_paths,
)
from mmkd.models.distillers.summary import summarize
from mmkd.models.distillers.task_loss import loss_on_rows
from mmkd.models.distillers.teacher import Teacher, build_teachers
from mmkd.networks import (
    build_network,
    freeze,
    load_network_weights,
    network_dict,
)
from mmkd.registry import MODELS
from mmkd.taps import Taps, Tensors, expand_braces, find_module


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
        frozen_student: checkpoint of the student (a plain one), which then
            is neither trained nor updated: only auxiliary heads learn.
        frozen_modules: module paths of the student (braces as in taps) that
            keep weights and running averages: no gradients, eval mode.
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
        frozen_student: str | None = None,
        frozen_modules: Sequence[str] = (),
        init_cfg: dict | None = None,
        **unexpected: Any,
    ) -> None:
        self.refuse_network_keys(unexpected)
        student_dict = network_dict(student)
        if isinstance(data_preprocessor, Mapping):
            # Each repository completes the dict of its networks in its way.
            student_dict['data_preprocessor'] = data_preprocessor
        network = build_network(student_dict)
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = getattr(network, 'data_preprocessor', None)
        super().__init__(data_preprocessor, check_labels, init_cfg)
        self.student = network
        self.frozen_student = frozen_student
        self.frozen_modules = [
            path for text in frozen_modules for path in expand_braces(text)
        ]
        if frozen_student is not None:
            self._load_frozen(frozen_student, bool(aux_heads))
            self.frozen_modules.append('')  # all of it
        for path in self.frozen_modules:
            freeze(find_module(self.student, path, 'model.frozen_modules'))
        self.check_finite = check_finite
        self.views = ROOT_MODELS.build(dict(views)) if views else None

        self._teachers = build_teachers(
            teacher, self.data_preprocessor, student_dict['_scope_']
        )
        self.losses, self.terms = build_losses(
            losses or {}, len(self._teachers), self.views is not None
        )
        self._bind(dict(taps or {}), dict(aux_heads or {}))

        report = run_dry(self, input_shape) if dry_run else None
        print_log(summarize(self, report), logger='current')

    # -- building ---------------------------------------------------------

    def _bind(self, taps: dict[str, Any], aux: dict[str, Any]) -> None:
        """Connect losses, auxiliary heads and taps on both sides."""
        student_wanted = [n for term in self.terms for n in term.student]
        teacher_wanted = [n for term in self.terms for n in term.teacher]
        check_names(
            {n: f'losses read "{n}"' for n in student_wanted + teacher_wanted},
            taps,
            aux,
        )
        paths = {
            side: {
                name: path[side]
                for name, path in paths_by_side(taps).items()
                if side in path
            }
            for side in ('student', 'teacher')
        }
        self.student_wanted = list(dict.fromkeys(student_wanted))
        tap_names, head_names = names_needed(self.student_wanted, aux)
        require_paths(tap_names, paths['student'], 'student')
        of_teacher = names_needed(teacher_wanted, aux)[0]
        self.student_taps = Taps(
            self.student,
            {
                name: path
                for name, path in paths['student'].items()
                if name in tap_names or name not in of_teacher
            },
        )
        self.aux_configs = {name: aux[name] for name in head_names}
        self.aux_heads = build_aux_heads(self.aux_configs, self.student)
        check_joint_heads(self.aux_heads, self.student, self.views)
        for index, teacher in enumerate(self._teachers):
            wanted = [
                name
                for term in self.terms
                if term.teacher_index == index
                for name in term.teacher
            ]
            require_paths(
                names_needed(wanted, aux)[0], paths['teacher'], 'teacher'
            )
            teacher.attach(paths['teacher'], aux, list(dict.fromkeys(wanted)))
            check_joint_heads(teacher.aux_heads, teacher.network, self.views)
            head_names += list(teacher.aux_heads)
        refuse_idle(aux, head_names, 'loss')

    def _load_frozen(self, checkpoint: str, has_heads: bool) -> None:
        if not has_heads:
            raise ValueError(
                f'model.frozen_student="{checkpoint}" leaves nothing to '
                'train: give aux_heads, or remove it'
            )
        load_network_weights(self.student, checkpoint, role='frozen_student')

    def init_weights(self) -> None:
        """Initialise all but a frozen student, whose weights are loaded."""
        if self.frozen_student is None:
            super().init_weights()
            return
        loaded = {k: v.clone() for k, v in self.student.state_dict().items()}
        super().init_weights()
        self.student.load_state_dict(loaded)

    def train(self, mode: bool = True) -> OfflineDistiller:
        """Switch the mode; what is frozen stays in eval mode."""
        super().train(mode)
        for path in self.frozen_modules:  # SyncBN conversion replaces modules
            self.student.get_submodule(path).eval()
        return self

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

        samples = data_samples if self.views is None else None
        taught = [teacher(images, samples) for teacher in self._teachers]
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
        # mmengine logs the sum of all losses as "loss".
        own = {
            'loss_task' if key == 'loss' else key: value
            for key, value in losses.items()
        }
        return own, learned
