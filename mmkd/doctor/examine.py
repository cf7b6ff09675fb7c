"""All checks on one patient."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mmkd.doctor.behaviour import check_behaviour
from mmkd.doctor.classes import check_classes
from mmkd.doctor.features import check_features
from mmkd.doctor.finding import Finding
from mmkd.doctor.gradients import check_gradients
from mmkd.doctor.images import check_images
from mmkd.doctor.labels import check_labels
from mmkd.doctor.normalization import check_normalization
from mmkd.doctor.patient import Patient
from mmkd.doctor.score import check_score, share_right
from mmkd.doctor.weights import check_weights
from mmkd.models.distillers.offline import OfflineDistiller

Check = Callable[[Patient], Iterator[Finding]]
#: what would spoil everything else comes first
_FIRST: tuple[Check, ...] = (check_images, check_labels, check_weights)
_CHECKS: tuple[Check, ...] = (
    check_behaviour,
    check_normalization,
    check_classes,
    check_score,
    check_features,
    check_gradients,
)
_STOP = ('images-not-finite', 'labels-missing', 'labels-out-of-range')
SECONDS = 6.0


@dataclass
class Report:
    """What the doctor says.

    Args:
        images: how many were looked at.
        findings: what is wrong.
        scores: label of a teacher -> share of right answers (all classes of
            equal weight), where there are classes.
        skipped: check -> why it could not look.
    """

    images: int
    findings: list[Finding] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report as text."""
        lines = [
            f'doctor: the {label} is right for {right:.1%} of the first '
            f'{self.images} training images (classes of equal weight)'
            for label, right in self.scores.items()
        ]
        lines += [f'doctor: {finding}' for finding in self.findings]
        lines += [
            f'doctor: {name} could not look ({reason})'
            for name, reason in self.skipped.items()
        ]
        if not self.findings:
            lines.append(f'doctor: nothing wrong in {self.images} images')
        return lines


def examine(
    distiller: OfflineDistiller,
    batches: Sequence[Mapping[str, Any]],
    seconds: float = SECONDS,
) -> Report:
    """Say what is wrong with a distiller, the first batches in hand.

    Nothing of the distiller changes, nor the random state.

    Args:
        distiller: as a run starts it, with its weights.
        batches: as its data loader gives them, about 64 images in all.
        seconds: for trying candidates; the rest takes some passes more.
    """
    with _same_random_state():
        patient = Patient(distiller, batches, seconds)
        report = Report(sum(len(b.images) for b in patient.batches))
        found: list[Finding] = []
        for check in (*_FIRST, *_CHECKS):
            if check is _CHECKS[0] and any(f.cause in _STOP for f in found):
                break
            try:
                found += check(patient)
            except Exception as error:  # a network of any kind may refuse
                text = f'{type(error).__name__}: {error}'
                report.skipped[check.__name__] = text
        else:
            report.scores = _scores(patient, report)
    report.findings = _without_consequences(_best_cures(found))
    return report


def _scores(patient: Patient, report: Report) -> dict[str, float]:
    if check_behaviour.__name__ in report.skipped:
        return {}
    scores = {k: share_right(v) for k, v in patient.answers.items()}
    return {k: right for k, right in scores.items() if right is not None}


def _best_cures(found: list[Finding]) -> list[Finding]:
    """Of cures that were tried, keep what makes the teacher right most."""
    tried = [f.right for f in found if f.right is not None]
    best = max(tried, default=None)
    for finding in found:
        if finding.right is not None and finding.right == best:
            return [f for f in found if f.right is None or f is finding]
    return found


#: cause -> what follows from it, and is not said again
_EXPLAINS = {
    'images-constant': ('teacher', 'tap', 'labels-one', 'loss', 'task'),
    'images-repeated': ('teacher', 'tap', 'loss'),
    'images-flat': ('teacher', 'tap'),
    'images-not-normalized': ('teacher', 'tap', 'loss'),
    'labels-empty': ('teacher-', 'task', 'loss'),
    'labels-one-class': ('teacher', 'labels-contradict'),
    'teacher-weights-not-finite': ('teacher', 'tap', 'loss'),
    'teacher-norms-untrained': ('teacher', 'tap', 'labels-contradict'),
    'teacher-is-student': ('teacher', 'loss', 'tap'),
    'teacher-not-finite': ('teacher', 'tap', 'loss'),
    'teacher-one-answer': ('teacher',),
    'teacher-ignores-images': ('teacher', 'tap', 'labels-contradict'),
    'teacher-random': ('teacher', 'labels-contradict'),
    'teacher-batch-dependent': ('teacher', 'labels-contradict'),
    'teacher-normalization': ('teacher', 'labels-contradict'),
    'teacher-colours-swapped': ('teacher', 'labels-contradict'),
    'teacher-resolution': ('teacher', 'labels-contradict'),
    'teacher-classes-permuted': ('teacher-at', 'teacher-worse', 'loss-ag'),
    'teacher-classes-shifted': ('teacher-at', 'teacher-worse', 'loss-ag'),
    'tap-scale': ('loss',),
    'tap-not-finite': ('loss',),
    'tap-dead': ('loss',),
    'tap-constant': ('loss',),
    'tap-ignores-images': ('loss',),
}


def _without_consequences(found: list[Finding]) -> list[Finding]:
    """Leave out what an earlier finding explains, and repetitions."""
    kept: list[Finding] = []
    for finding in found:
        explained = any(
            finding.cause.startswith(_EXPLAINS.get(earlier.cause, ()))
            for earlier in kept
        )
        if not explained and finding not in kept:
            kept.append(finding)
    return kept


@contextmanager
def _same_random_state() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
