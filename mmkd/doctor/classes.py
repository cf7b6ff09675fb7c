"""Does the teacher count its classes as the data do?"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mmkd.doctor.answers import balanced
from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient
from mmkd.doctor.score import chance, joined, sureness

_FEWEST = 12
_CLEAR = 0.65  # right under the best renumbering


def check_classes(patient: Patient) -> Iterator[Finding]:
    """Look for a renumbering under which the teacher would be right."""
    for label, _ in patient.teachers:
        answers = patient.answers[label]
        logits, labels = joined(answers)
        images = sum(len(a.loss) for a in answers)
        present = labels.unique()
        if images < _FEWEST or len(present) < 3 or len(logits) == 0:
            continue
        if not logits.isfinite().all():
            continue
        predicted = logits.argmax(1)
        right = balanced(predicted, labels)
        if len(predicted.unique()) < 2:
            continue
        renamed, mapping = _best_renumbering(predicted, labels)
        if renamed < max(2 * right, right + 0.2, _CLEAR):
            sure = sureness(logits)
            if right <= chance(answers) and sure >= 0.8:
                yield Finding(
                    'labels-contradict-teacher',
                    f'the {label} is {sure:.0%} sure, but right for '
                    f'{right:.0%}, which is chance, under any numbering',
                    'the labels do not belong to these images, or the '
                    'teacher is of other data',
                )
            continue
        shifts = {theirs - ours for ours, theirs in mapping.items()}
        if len(shifts) == 1 and shifts != {0}:
            shift = next(iter(shifts))
            yield Finding(
                'teacher-classes-shifted',
                f'the {label} calls class k what the data call '
                f'k{-shift:+d}: right for {right:.0%}, then for '
                f'{renamed:.0%}',
                'one of the two counts a background class (reduce_zero_label)',
                renamed,
            )
            continue
        moved = {a: b for a, b in mapping.items() if a != b}
        example = ', '.join(f'{b} for {a}' for a, b in list(moved.items())[:3])
        yield Finding(
            'teacher-classes-permuted',
            f'the {label} has the classes in another order ({example}, ...): '
            f'right for {right:.0%}, renumbered for {renamed:.0%}',
            'use the class names of its training in the same order '
            '(metainfo.classes)',
            renamed,
        )


def _best_renumbering(
    predicted: torch.Tensor, labels: torch.Tensor
) -> tuple[float, dict[int, int]]:
    """Return the score with each label's favourite answer, one to one.

    The largest entries of the table of labels and answers are taken first.
    """
    table = {}
    for ours in labels.unique().tolist():
        answers = predicted[labels == ours]
        for theirs in answers.unique().tolist():
            table[ours, theirs] = float((answers == theirs).double().mean())
    mapping: dict[int, int] = {}
    score = 0.0
    for (ours, theirs), share in sorted(table.items(), key=lambda e: -e[1]):
        if ours not in mapping and theirs not in mapping.values():
            mapping[ours] = theirs
            score += share
    return score / len(labels.unique()), mapping
