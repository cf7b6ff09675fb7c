"""Distillation from frozen teachers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.deploy import OWN, Deployment, load_network_weights
from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.filling import Shapes
from mmkd.models.distillers.following import Following, follow
from mmkd.models.distillers.loss_terms import TermSpec, bind_losses
from mmkd.models.distillers.parts import Part
from mmkd.models.distillers.rehearsal import Rehearsal
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.run import Observation, Run
from mmkd.models.distillers.teacher import Teacher, build_teacher
from mmkd.models.distillers.views import ViewMaker, view_of
from mmkd.models.distillers.wiring import Wiring, wire_sides
from mmkd.networks import build_network, freeze, network_dict
from mmkd.preprocessors import image_channels, replace_preprocessor
from mmkd.registry import MODELS
from mmkd.taps import Tensors, expand_braces, find_module
from mmkd.tasks import num_classes


@MODELS.register_module()
class OfflineDistiller(BaseDistiller):
    """Train a student under frozen teachers.

    loss = the student's own task loss + the sum of ``losses``. The student
    runs once per step and its ``loss`` is called unchanged; the teachers run
    forward only. Only the student is evaluated, and what is saved is
    ``student.…``, ``aux_heads.…``, averaged copies and the state of the
    losses.

    Args:
        student: network: config name, model dict or ``_base_.model``.
        teacher: ``dict(config=..., checkpoint=...)``, a list of those, or
            None (training with auxiliary heads only). Further keys:
            ``strict``, ``allow_pickle``, ``cfg_options``, ``peer``,
            ``dtype``. ``dict(follow='student', momentum=0.999)`` is a moving
            average of the student (further keys: those of `Followers`, and
            ``view``, ``shuffle``). Of several views, the student and frozen
            teachers see the first.
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
            ``resize='teacher'`` (or ``'student'``) brings its maps to the
            height and width of the other side's, bilinearly, and label maps
            to the same size. Numbers of channels are filled in
            (`mmkd.models.distillers.filling`).
        deploy: ``dict(weights='teacher')`` evaluates and exports the moving
            average of that name instead of the student.
        data_preprocessor: defaults to the student's.
        dry_run: try taps and losses on small random tensors when built.
        input_shape: (C, H, W) of the dry run; defaults to what preprocessor
            and networks say (`mmkd.inputs`), else (3, 224, 224).
        check_labels, check_finite: see `BaseDistiller`.
        frozen_student: checkpoint of the student (a plain one), which then
            is neither trained nor updated: only auxiliary heads learn.
        frozen_modules: module paths of the student (braces as in taps) that
            keep weights and running averages: no gradients, eval mode.
        init_cfg: see mmengine's BaseModule.

    Raises:
        ValueError, TypeError, KeyError, FileNotFoundError: a part of the
            config does not fit; the message names the key and the cure.
    """

    bare_keys = (*BaseDistiller.bare_keys, 'student')

    def __init__(
        self,
        student: Any,
        teacher: Any = None,
        taps: Mapping[str, Any] | None = None,
        aux_heads: Mapping[str, Any] | None = None,
        views: Mapping[str, Any] | None = None,
        losses: Mapping[str, Any] | None = None,
        deploy: Any = None,
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
            replace_preprocessor(student_dict, 'student', data_preprocessor)
        network = build_network(student_dict)
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = getattr(network, 'data_preprocessor', None)
        super().__init__(
            data_preprocessor, check_labels, check_finite, init_cfg
        )
        self.student = network
        self.frozen_student = frozen_student
        self._freeze(frozen_modules, bool(aux_heads))
        self.views = ROOT_MODELS.build(dict(views)) if views else None

        given = [] if teacher is None else teacher
        given = list(given) if isinstance(given, (list, tuple)) else [given]
        # A tuple, so that frozen teachers are not registered.
        self._teachers = tuple(
            None
            if _follows(spec)
            else build_teacher(
                spec,
                self.data_preprocessor,
                student_dict['_scope_'],
                image_channels(network),
            )
            for spec in given
        )
        self._assemble(given, taps, aux_heads, losses, dry_run, input_shape)
        self.deployment = Deployment.parse(deploy)
        self.deployment.check(1, (), self.followers)

    # -- building -----------------------------------------------------------

    def _freeze(self, modules: Sequence[str], has_heads: bool) -> None:
        self.frozen_modules = [
            path for text in modules for path in expand_braces(text)
        ]
        if self.frozen_student is not None:
            self._gradients_checked = True  # only heads learn
            if not has_heads:
                raise ValueError(
                    f'model.frozen_student="{self.frozen_student}" leaves '
                    'nothing to train: give aux_heads, or remove it'
                )
            load_network_weights(
                self.student, self.frozen_student, role='frozen_student'
            )
            self.frozen_modules.append('')  # all of it
        for path in self.frozen_modules:
            freeze(find_module(self.student, path, 'model.frozen_modules'))

    def _assemble(
        self,
        given: list[Any],
        taps: Mapping[str, Any] | None,
        aux_heads: Mapping[str, Any] | None,
        losses: Mapping[str, Any] | None,
        dry_run: bool,
        input_shape: Sequence[int] | None,
    ) -> None:
        """Connect taps, auxiliary heads and losses on both sides."""
        specs = bind_losses(losses or {}, len(given), self.views is not None)
        names = [f'teacher{k}' for k in range(len(given))]
        if len(given) == 1:
            names = ['teacher']
        wanted = {
            'student': [n for spec in specs for n in spec.student],
            **{
                label: [
                    n
                    for spec in specs
                    if spec.teacher_index == index
                    for n in spec.teacher
                ]
                for index, label in enumerate(names)
            },
        }
        _require_losses(given, specs)
        wirings = wire_sides(dict(taps or {}), dict(aux_heads or {}), wanted)
        student = Role('student', self.student, wirings['student'])
        if self.frozen_student is not None:
            student.state = f'frozen, {self.frozen_student}'
        self.roles = [student]
        for label, teacher in zip(names, self._teachers, strict=True):
            if teacher is not None:
                self.roles.append(teacher.role(label, wirings[label]))
        rehearsal = self.watch(input_shape) if dry_run else None

        known = {role.label: role for role in self.roles}

        def shape(label: str, name: str) -> Shapes:
            if rehearsal is None:
                return None
            role = known.get(label, student)  # which a follower is like
            path = wirings[label].paths.get(name)
            if path != role.wiring.paths.get(name):
                return None
            return rehearsal.shape_of(role, name)

        classes = num_classes(self.student)
        self.parts: list[Part] = [
            spec.build(['student', *names], shape, classes) for spec in specs
        ]
        self.losses = ModuleDict(
            {
                spec.name: part.module
                for spec, part in zip(specs, self.parts, strict=True)
            }
        )
        self.build_role_heads(student, rehearsal)
        self.aux_heads = student.heads
        for label, teacher in zip(names, self._teachers, strict=True):
            if teacher is not None:
                role = self.role(label)
                self.build_role_heads(role, rehearsal)
                teacher.take_heads(role.heads)
        self._follow(given, names, wirings, rehearsal)
        self.finish_building(rehearsal)

    def _follow(
        self,
        given: list[Any],
        names: list[str],
        wirings: Mapping[str, Wiring],
        rehearsal: Rehearsal | None,
    ) -> None:
        """Make the teachers that are moving averages of the student."""
        self.followers: Any = nn.ModuleDict()
        self.following: list[Following] = []
        for label, spec in zip(names, given, strict=True):
            if _follows(spec):
                options = {k: v for k, v in spec.items() if k != 'follow'}
                group = follow(
                    'model.teacher',
                    self.roles[:1],
                    [label],
                    [wirings[label]],
                    options,
                    rehearsal=rehearsal,
                )
                self.followers[label] = group.copies
                self.following.append(group)
                self.roles += group.roles

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

    def summary_end(self) -> str:
        """Return what is saved and what is deployed."""
        saved = ['student']
        saved += [f'aux_heads.{name}' for name in self.aux_heads]
        saved += [f'followers.{name}' for name in self.followers]
        saved += [
            f'losses.{name}'
            for name, loss in self.losses.items()
            if loss.state_dict()
        ]
        weights = getattr(self, 'deployment', Deployment()).weights
        deployed = 'student' if weights == OWN else weights
        return f'  saved: {", ".join(saved)}; deployed: {deployed}'

    # -- properties ---------------------------------------------------------

    @classmethod
    def network_configs(cls, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``student``: its spec."""
        return {'student': model['student']}

    @property
    def deployed(self) -> nn.Module:
        """The student, or its moving average."""
        if self.deployment.weights == OWN:
            return self.student
        return self.followers[self.deployment.weights][0]

    @property
    def trained(self) -> list[nn.Module]:
        """The student."""
        return [self.student]

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """The frozen teachers."""
        return tuple(t for t in self._teachers if t is not None)

    def _apply(self, fn: Any, recurse: bool = True) -> OfflineDistiller:
        """Move the teachers along with the student."""
        super()._apply(fn, recurse)
        for teacher in self.teachers:
            teacher._apply(fn)
        return self

    # -- a step -------------------------------------------------------------

    def run(self, inputs: Any, data_samples: list | None) -> Run:
        """Run teachers and student once on a batch.

        Shape:
            inputs: (N, C, H, W), or a list of those, one per view.
        """
        views = ViewMaker(self.views, data_samples)
        images = view_of(inputs, 0, 'the view of the student')
        view = views(images)
        tensors = {
            role.label: found
            for role, _, found in self._observe_others(inputs, images, views)
        }
        student = self.roles[0]
        losses, tensors[student.label] = student.learn(view, data_samples)
        batch = self._batch(data_samples, view)
        return Run(losses, tensors, batch, view.images)

    def _observe_others(
        self, inputs: Any, images: torch.Tensor, views: ViewMaker
    ) -> Iterator[tuple[Role, Any, dict[str, Tensors]]]:
        """Return role, output and tensors of teachers and averages."""
        shown = views(images).images
        for role in self.roles[1 : 1 + len(self.teachers)]:
            yield role, *role.observe(shown, views.samples)
        for group in self.following:
            yield from group.observe(inputs, [images], views)

    def observe(
        self, inputs: Any, data_samples: list | None = None
    ) -> Observation:
        """Return the named tensors of student and teachers, without a step.

        Shape:
            inputs: (N, C, H, W), preprocessed, or a list of those, one per
                view.
        """
        views = ViewMaker(self.views, data_samples)
        images = view_of(inputs, 0, 'the view of the student')
        view = views(images)
        student = self.roles[0]
        output, found = student.observe(view.images, views.samples)
        outputs, tensors = {student.label: output}, {student.label: found}
        for role, output, found in self._observe_others(inputs, images, views):
            outputs[role.label], tensors[role.label] = output, found
        batch = self._batch(data_samples, view)
        return Observation(outputs, tensors, view.labels, batch)


def _require_losses(given: list[Any], specs: Sequence[TermSpec]) -> None:
    """Refuse frozen teachers without any loss.

    Raises:
        ValueError: there are; they would cost time and teach nothing.
    """
    if specs or all(_follows(spec) for spec in given):
        return
    raise ValueError(
        'model.teacher teaches nothing: no loss of model.losses (empty) reads '
        "it. Add one, e.g. losses=dict(kd=dict(type='mmkd.KLDivLoss', "
        "on='<a tap>')), or set teacher=None"
    )


def _follows(spec: Any) -> bool:
    """Return whether a teacher is a moving average of the student.

    Raises:
        ValueError: it follows something else.
    """
    if not isinstance(spec, Mapping) or 'follow' not in spec:
        return False
    if spec['follow'] != 'student':
        raise ValueError(
            f"model.teacher=dict(follow='{spec['follow']}'): only 'student' "
            'can be followed'
        )
    return True
