"""Taps and losses of each method, for a pair of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmkd.apis.pair import DoesNotFitError, Pair
from mmkd.apis.places import Place
from mmkd.apis.tasks import CLASSES


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


def compare_outputs(**loss: Any) -> Callable[[Pair], Plan]:
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


def compare_features(
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


FITNET = dict(
    type='mmkd.FitNetLoss', student_channels='auto', teacher_channels='auto'
)
MAPS = 'map of the backbone'
POOLED = 'features in front of the classifier'


def cwd(pair: Pair) -> Plan:
    student, teacher = pair.outputs()
    feats = pair.both('feats', POOLED)
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


def cirkd(pair: Pair) -> Plan:
    student, teacher = pair.outputs()
    feats = pair.both('feats', POOLED)
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


def pose_kd(pair: Pair) -> Plan:
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


def pkd(pair: Pair) -> Plan:
    taps, channels, note = _levels(pair)
    if any(one != two for one, two in channels):
        one, two = next(pair for pair in channels if pair[0] != pair[1])
        raise DoesNotFitError(
            f'PKD compares channel by channel, and the maps have {one} and '
            f'{two}'
        )
    loss = dict(type='mmkd.PKDLoss', on='pyramid', loss_weight=6.0)
    return Plan(taps, dict(pkd=loss), [note, f'{channels[0][0]} channels'])


def detection_fitnet(pair: Pair) -> Plan:
    taps, _, note = _levels(pair)
    loss = _loss(FITNET, 'pyramid')
    return Plan(taps, dict(fitnet=loss), [note, 'an adapter per level'])
