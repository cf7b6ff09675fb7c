"""Which method goes with which pair: by name, or chosen."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmkd.apis.places import Place, Places
from mmkd.apis.tasks import CLASSES

AUTO = 'auto'


class DoesNotFitError(ValueError):
    """A method cannot compare these two networks; says why."""


@dataclass
class Pair:
    """The two networks, as their places say.

    Args:
        task: what both do.
        student, teacher: their places.
        classes: those of the student when it is trained on the data.
    """

    task: str
    student: Places
    teacher: Places
    classes: int | None

    def both(self, name: str, what: str) -> tuple[Place, Place]:
        """Return the places called ``name`` of both.

        Raises:
            DoesNotFitError: one has none.
        """
        for role, places in self._sides():
            if name not in places.found:
                raise DoesNotFitError(
                    f'the {role} (head {places.kind}) gives no {what}'
                )
        return self.student.found[name], self.teacher.found[name]

    def _sides(self) -> list[tuple[str, Places]]:
        return [('student', self.student), ('teacher', self.teacher)]

    def outputs(self) -> tuple[Place, Place]:
        """Return the outputs of both, of the same classes.

        Raises:
            DoesNotFitError: they cannot be compared.
        """
        found = self.both('logits', 'output that can be compared')
        if self.student.kind != self.teacher.kind:
            raise DoesNotFitError(
                f'the student gives {self.student.kind} and the teacher '
                f'{self.teacher.kind}'
            )
        if self.classes != self.teacher.classes:
            raise DoesNotFitError(
                f'the teacher knows {self.teacher.classes} '
                f'{CLASSES[self.task]}, the student learns {self.classes}'
            )
        return found


@dataclass
class Plan:
    """What a config says of a method.

    Args:
        taps: of the config.
        losses: of the config.
        notes: why.
    """

    taps: dict[str, Any]
    losses: dict[str, dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Method:
    """A method by name.

    Args:
        text: one line for ``list-methods``.
        needs: what it compares, for ``list-methods``.
        plan: makes the config's part; raises `DoesNotFitError`.
    """

    text: str
    needs: str
    plan: Callable[[Pair], Plan]


def _tap(student: Place, teacher: Place) -> Any:
    if student.path == teacher.path:
        return student.path
    return dict(student=student.path, teacher=teacher.path)


def _resize(pair: Pair, name: str) -> dict[str, Any]:
    """Return ``resize`` if the maps of the two have other strides."""
    if pair.student.strides(name) == pair.teacher.strides(name):
        return {}
    return dict(resize='teacher')


def _loss(given: Mapping[str, Any], on: str, **more: Any) -> dict[str, Any]:
    return dict(type=given['type'], on=on) | dict(given) | more


def _logits(**loss: Any) -> Callable[[Pair], Plan]:
    """Return the plan of a loss between the outputs of both."""

    def plan(pair: Pair) -> Plan:
        student, teacher = pair.outputs()
        resize = {}
        if pair.task == 'segmentation':
            resize = _resize(pair, 'logits')
        return Plan(
            dict(logits=_tap(student, teacher)),
            dict(kd=_loss(loss, 'logits', **resize)),
            [f'both know the same {pair.classes} {CLASSES[pair.task]}'],
        )

    return plan


def _features(
    name: str, place: str, what: str, **loss: Any
) -> Callable[[Pair], Plan]:
    """Return the plan of a loss between features, whatever the classes."""

    def plan(pair: Pair) -> Plan:
        student, teacher = pair.both(place, what)
        resize = {}
        if student.shapes[0][2:]:
            resize = _resize(pair, place)
        return Plan(
            {place: _tap(student, teacher)},
            {name: _loss(loss, place, **resize)},
            [f'compares {what}: {_widths(student, teacher)} channels'],
        )

    return plan


def _widths(student: Place, teacher: Place) -> str:
    return f'{student.channels[0]} and {teacher.channels[0]}'


_FITNET = dict(
    type='mmkd.FitNetLoss', student_channels='auto', teacher_channels='auto'
)
_MAPS = 'map of the backbone'
_POOLED = 'features in front of the classifier'


def _cwd(pair: Pair) -> Plan:
    student, teacher = pair.outputs()
    feats = pair.both('feats', _POOLED)
    common = dict(type='mmkd.ChannelWiseDivergenceLoss', temperature=4.0)
    return Plan(
        dict(feats=_tap(*feats), logits=_tap(student, teacher)),
        dict(
            cwd_feats=_loss(
                common,
                'feats',
                student_channels='auto',
                teacher_channels='auto',
                loss_weight=50.0,
                **_resize(pair, 'feats'),
            ),
            cwd_logits=_loss(
                common,
                'logits',
                loss_weight=3.0,
                **_resize(pair, 'logits'),
            ),
        ),
        [f'both know the same {pair.classes} classes'],
    )


def _cirkd(pair: Pair) -> Plan:
    student, teacher = pair.outputs()
    feats = pair.both('feats', _POOLED)
    return Plan(
        dict(feats=_tap(*feats), logits=_tap(student, teacher)),
        dict(
            kd=dict(
                type='mmkd.KLDivLoss',
                on='logits',
                temperature=1.0,
                **_resize(pair, 'logits'),
            ),
            minibatch=dict(
                type='mmkd.MiniBatchPixelRelationLoss',
                on='feats',
                temperature=0.1,
                group_size=2,
                **_resize(pair, 'feats'),
            ),
        ),
        [f'both know the same {pair.classes} classes'],
    )


def _pose_kd(pair: Pair) -> Plan:
    student, teacher = pair.outputs()
    note = f'both know the same {pair.classes} key points'
    if pair.student.kind == 'bins':
        if student.shapes != teacher.shapes:
            raise DoesNotFitError(
                f'the student has bins {student.shapes[0][1:]} and the '
                f'teacher {teacher.shapes[0][1:]}: another size of the crop '
                'or of the bins'
            )
        loss = dict(type='mmkd.KLDivLoss', on='bins', dim=2)
        return Plan(dict(bins=_tap(student, teacher)), dict(kd=loss), [note])
    loss = dict(
        type='mmpose.KeypointMSELoss', on='heatmaps', use_target_weight=False
    )
    return Plan(
        dict(heatmaps=_tap(student, teacher)),
        dict(kd=dict(loss, **_resize(pair, 'logits'))),
        [note],
    )


def _levels(pair: Pair) -> tuple[dict[str, Any], list[tuple[int, int]], str]:
    """Return the taps of the levels of equal stride, and their channels."""
    student, teacher = pair.both('pyramid', 'pyramid of maps')
    ours, theirs = (
        pair.student.strides('pyramid'),
        pair.teacher.strides('pyramid'),
    )
    common = sorted(set(ours) & set(theirs))
    if not common:
        raise DoesNotFitError(
            f'the strides of the maps have none in common: {ours} and {theirs}'
        )
    sides = []
    for place, strides in ((student, ours), (teacher, theirs)):
        index = ','.join(str(strides.index(stride)) for stride in common)
        single = len(strides) == 1
        braces = f'{{{index}}}' if len(common) > 1 else index
        sides.append(place.path if single else f'{place.path}[{braces}]')
    tap: Any = dict(student=sides[0], teacher=sides[1])
    if sides[0] == sides[1]:
        tap = sides[0]
    channels = [
        (
            student.channels[ours.index(stride)],
            teacher.channels[theirs.index(stride)],
        )
        for stride in common
    ]
    listed = ', '.join(map(str, common))
    return dict(pyramid=tap), channels, f'levels of stride {listed} in both'


def _pkd(pair: Pair) -> Plan:
    taps, channels, note = _levels(pair)
    if any(one != two for one, two in channels):
        one, two = next(pair for pair in channels if pair[0] != pair[1])
        raise DoesNotFitError(
            f'PKD compares channel by channel, and the maps have {one} and '
            f'{two}'
        )
    loss = dict(type='mmkd.PKDLoss', on='pyramid', loss_weight=6.0)
    return Plan(taps, dict(pkd=loss), [note, f'{channels[0][0]} channels'])


def _det_fitnet(pair: Pair) -> Plan:
    taps, _, note = _levels(pair)
    loss = _loss(_FITNET, 'pyramid')
    return Plan(taps, dict(fitnet=loss), [note, 'an adapter per level'])


_OUTPUTS, _ANY = 'outputs of the same classes', 'any two of the task'
#: task -> name -> method; the first that fits is what ``auto`` takes
METHODS: dict[str, dict[str, Method]] = dict(
    classification=dict(
        kd=Method(
            'softened logits (Hinton, 2015)',
            _OUTPUTS,
            _logits(type='mmkd.KLDivLoss', temperature=4.0),
        ),
        rkd=Method(
            'distances and angles between images (CVPR 2019)',
            _ANY,
            _features(
                'rkd',
                'feats',
                _POOLED,
                type='mmkd.RKDLoss',
                distance_weight=25.0,
                angle_weight=50.0,
            ),
        ),
        dkd=Method(
            'target class and other classes apart (CVPR 2022)',
            _OUTPUTS,
            _logits(
                type='mmkd.DKDLoss',
                alpha=1.0,
                beta=8.0,
                temperature=4.0,
                warmup_epochs=20,
            ),
        ),
        pkt=Method(
            'probabilities of neighbours (ECCV 2018)',
            _ANY,
            _features(
                'pkt',
                'feats',
                _POOLED,
                type='mmkd.PKTLoss',
                loss_weight=30000.0,
            ),
        ),
        sp=Method(
            'similarities within the batch (ICCV 2019)',
            'networks with maps',
            _features(
                'sp', 'maps', _MAPS, type='mmkd.SPLoss', loss_weight=3000.0
            ),
        ),
        at=Method(
            'attention maps (ICLR 2017)',
            'networks with maps',
            _features(
                'at', 'maps', _MAPS, type='mmkd.ATLoss', loss_weight=1000.0
            ),
        ),
        fitnet=Method(
            'the map itself, by a 1x1 convolution (ICLR 2015)',
            'networks with maps',
            _features('fitnet', 'maps', _MAPS, **_FITNET),
        ),
    ),
    segmentation=dict(
        cirkd=Method(
            'pixel KD and relations between pixels (CVPR 2022)',
            _OUTPUTS,
            _cirkd,
        ),
        fitnet=Method(
            'features by a 1x1 convolution (ICLR 2015)',
            'networks with dense features',
            _features('fitnet', 'feats', _POOLED, **_FITNET, loss_weight=10.0),
        ),
        maps=Method(
            'FitNet on the last map of the backbone',
            _ANY,
            _features('fitnet', 'maps', _MAPS, **_FITNET),
        ),
        kd=Method(
            'pixel by pixel',
            _OUTPUTS,
            _logits(type='mmkd.KLDivLoss', temperature=1.0),
        ),
        cwd=Method('where each channel is active (ICCV 2021)', _OUTPUTS, _cwd),
        at=Method(
            'attention maps (ICLR 2017)',
            'networks with dense features',
            _features(
                'at',
                'feats',
                _POOLED,
                type='mmkd.ATLoss',
                pool=False,
                loss_weight=10000.0,
            ),
        ),
    ),
    pose=dict(
        kd=Method(
            'heat maps, or bins of SimCC and RTMPose',
            'outputs of the same kind and key points',
            _pose_kd,
        ),
        fitnet=Method(
            'last map of the backbone, by a 1x1 convolution (ICLR 2015)',
            _ANY,
            _features('fitnet', 'maps', _MAPS, **_FITNET),
        ),
    ),
    detection=dict(
        pkd=Method(
            'correlation of every channel (NeurIPS 2022)',
            'pyramids of the same channels',
            _pkd,
        ),
        fitnet=Method(
            'pyramid, an adapter per level (ICLR 2015)',
            'pyramids with a stride in common',
            _det_fitnet,
        ),
    ),
)


def choose_method(name: str, pair: Pair) -> tuple[str, Plan]:
    """Return the method called ``name``, or the first that fits.

    Args:
        name: of a method, or ``'auto'``.
        pair: the networks.

    Raises:
        ValueError: it is unknown, or does not fit the two.
    """
    methods: Mapping[str, Method] = METHODS[pair.task]
    if name != AUTO:
        if name not in methods:
            raise ValueError(_unknown(name, pair.task))
        try:
            return name, methods[name].plan(pair)
        except DoesNotFitError as error:
            raise ValueError(
                f'method="{name}" does not fit: {error}; use '
                f'{_fitting(pair)}, or another teacher'
            ) from None
    reasons = []
    for key, method in methods.items():
        try:
            plan = method.plan(pair)
        except DoesNotFitError as error:
            reasons.append(f'not {key}: {error}')
            continue
        plan.notes += reasons
        return key, plan
    raise ValueError(
        f'no method for {pair.task} fits this student and teacher: '
        f'{"; ".join(reasons)}'
    )


def _unknown(name: str, task: str) -> str:
    near = difflib.get_close_matches(name, METHODS[task], n=1)
    others = [t for t, methods in METHODS.items() if name in methods]
    return (
        f'method="{name}": there is no such method for {task}'
        + (f' (there is for {", ".join(others)})' if others else '')
        + (f'; nearest: {near[0]}' if near else '')
        + f'; use auto or one of {", ".join(METHODS[task])}'
    )


def _fitting(pair: Pair) -> str:
    fitting = []
    for key, method in METHODS[pair.task].items():
        try:
            method.plan(pair)
        except DoesNotFitError:
            continue
        fitting.append(key)
    return f'one that does ({", ".join(fitting)})' if fitting else 'no method'
