"""How good is the teacher, and does it say more than the labels do?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from mmkd.doctor.answers import Answers, balanced
from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient

_FEWEST = 8
_SURE = 0.99999
_ONE = 0.9  # of all answers: a network that knows the background alone
_EVEN = 0.995  # of the largest entropy


def joined(answers: Sequence[Answers]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (P, K) and labels (P,) of all batches; may be empty."""
    pairs = [
        (a.logits, a.labels)
        for a in answers
        if a.logits is not None and a.labels is not None
    ]
    if not pairs:
        return torch.zeros(0, 1), torch.zeros(0, dtype=torch.long)
    return (
        torch.cat([logits for logits, _ in pairs]),
        torch.cat([labels for _, labels in pairs]),
    )


def share_right(answers: Sequence[Answers]) -> float | None:
    """Return the share of right answers, all classes of equal weight."""
    logits, labels = joined(answers)
    return balanced(logits.argmax(1), labels) if len(labels) else None


def chance(answers: Sequence[Answers]) -> float:
    """Return what a share of right answers by luck stays under."""
    _, labels = joined(answers)
    classes = len(labels.unique())
    images = sum(len(a.loss) for a in answers)
    luck = 1 / max(classes, 1)
    return luck + 2 * math.sqrt(luck * (1 - luck) / max(images, 1))


def sureness(logits: torch.Tensor) -> float:
    """Return the mean probability of the answers (P, K), class by class.

    All answered classes are of equal weight: being sure of the background
    says nothing of the rest. It is 0 where nearly all answers are the same.
    """
    sure, answer = logits.softmax(1).max(1)
    if float(answer.bincount().max()) > _ONE * len(answer):
        return 0.0
    means = [sure[answer == k].double().mean() for k in answer.unique()]
    return float(torch.stack(means).mean())


def check_score(patient: Patient) -> Iterator[Finding]:
    """Compare the teacher's answers with labels and student."""
    for label, _ in patient.teachers:
        answers = patient.answers[label]
        logits, labels = joined(answers)
        images = sum(len(a.loss) for a in answers)
        if images < _FEWEST or len(labels.unique()) < 2:
            continue
        if not logits.isfinite().all():
            continue
        yield from _judge(patient, label, answers, logits, labels)


def _judge(
    patient: Patient,
    label: str,
    answers: Sequence[Answers],
    logits: torch.Tensor,
    labels: torch.Tensor,
) -> Iterator[Finding]:
    predicted = logits.argmax(1)
    right = balanced(predicted, labels)
    text = (
        f'the {label} is right for {right:.0%} (classes of equal weight; '
        f'{1 / len(labels.unique()):.0%} is chance)'
    )
    if len(predicted.unique()) == 1:
        yield Finding(
            'teacher-one-answer',
            f'the {label} answers class {int(predicted[0])} to everything',
            'its head is not trained, or its images are not what it expects',
        )
    elif right <= chance(answers):
        # a sure teacher of other answers is the matter of `classes`
        if sureness(logits) < 0.8:
            yield Finding(
                'teacher-at-chance',
                text,
                'give the checkpoint of a trained teacher; look at the '
                "teacher's config and data",
            )
        return
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    if float(entropy) > _EVEN * math.log(logits.shape[1]):
        yield Finding(
            'teacher-flat',
            f'the {label} is hardly sure of any class (entropy '
            f'{float(entropy):.2f} of {math.log(logits.shape[1]):.2f}), '
            f'though it is right for {right:.0%}',
            'its logits are too small: tap what its softmax reads, or lower '
            "the loss's temperature",
        )
    softened = (logits / 4).softmax(1).amax(1).mean()
    if float(softened) > _SURE:
        yield Finding(
            'teacher-saturated',
            f'the {label} is sure of one class even at temperature 4 '
            f'({float(softened):.5f})',
            'it says no more than the labels: use features, a higher '
            'temperature, or a teacher that is less over-fitted',
        )
    own = share_right(patient.student_answers)
    if own is not None and own > right + 0.1:
        yield Finding(
            'teacher-worse-than-student',
            f'{text}, the student already for {own:.0%}',
            'take a better teacher: this one pulls the student down',
        )
