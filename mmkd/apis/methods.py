"""Which method goes with which pair: by name, or chosen."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmkd.apis.pair import DoesNotFitError, Pair
from mmkd.apis.plans import (
    FITNET,
    MAPS,
    POOLED,
    Plan,
    cirkd,
    compare_features,
    compare_outputs,
    cwd,
    detection_fitnet,
    pkd,
    pose_kd,
)

AUTO = 'auto'


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


_OUTPUTS, _ANY = 'outputs of the same classes', 'any two of the task'
#: task -> name -> method; the first that fits is what ``auto`` takes
METHODS: dict[str, dict[str, Method]] = dict(
    classification=dict(
        kd=Method(
            'softened logits (Hinton, 2015)',
            _OUTPUTS,
            compare_outputs(type='mmkd.KLDivLoss', temperature=4.0),
        ),
        rkd=Method(
            'distances and angles between images (CVPR 2019)',
            _ANY,
            compare_features(
                'rkd',
                'feats',
                POOLED,
                type='mmkd.RKDLoss',
                distance_weight=25.0,
                angle_weight=50.0,
            ),
        ),
        dkd=Method(
            'target class and other classes apart (CVPR 2022)',
            _OUTPUTS,
            compare_outputs(
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
            compare_features(
                'pkt',
                'feats',
                POOLED,
                type='mmkd.PKTLoss',
                loss_weight=30000.0,
            ),
        ),
        sp=Method(
            'similarities within the batch (ICCV 2019)',
            'networks with maps',
            compare_features(
                'sp', 'maps', MAPS, type='mmkd.SPLoss', loss_weight=3000.0
            ),
        ),
        at=Method(
            'attention maps (ICLR 2017)',
            'networks with maps',
            compare_features(
                'at', 'maps', MAPS, type='mmkd.ATLoss', loss_weight=1000.0
            ),
        ),
        fitnet=Method(
            'the map itself, by a 1x1 convolution (ICLR 2015)',
            'networks with maps',
            compare_features('fitnet', 'maps', MAPS, **FITNET),
        ),
    ),
    segmentation=dict(
        cirkd=Method(
            'pixel KD and relations between pixels (CVPR 2022)',
            _OUTPUTS,
            cirkd,
        ),
        fitnet=Method(
            'features by a 1x1 convolution (ICLR 2015)',
            'networks with dense features',
            compare_features(
                'fitnet', 'feats', POOLED, **FITNET, loss_weight=10.0
            ),
        ),
        maps=Method(
            'FitNet on the last map of the backbone',
            _ANY,
            compare_features('fitnet', 'maps', MAPS, **FITNET),
        ),
        kd=Method(
            'pixel by pixel',
            _OUTPUTS,
            compare_outputs(type='mmkd.KLDivLoss', temperature=1.0),
        ),
        cwd=Method('where each channel is active (ICCV 2021)', _OUTPUTS, cwd),
        at=Method(
            'attention maps (ICLR 2017)',
            'networks with dense features',
            compare_features(
                'at',
                'feats',
                POOLED,
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
            pose_kd,
        ),
        fitnet=Method(
            'last map of the backbone, by a 1x1 convolution (ICLR 2015)',
            _ANY,
            compare_features('fitnet', 'maps', MAPS, **FITNET),
        ),
    ),
    detection=dict(
        pkd=Method(
            'correlation of every channel (NeurIPS 2022)',
            'pyramids of the same channels',
            pkd,
        ),
        fitnet=Method(
            'pyramid, an adapter per level (ICLR 2015)',
            'pyramids with a stride in common',
            detection_fitnet,
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
