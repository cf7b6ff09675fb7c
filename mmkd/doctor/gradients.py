"""How strong is every loss, beside the student's own?"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient

_MOST, _LEAST = 300.0, 1e-5
_AGAINST = -0.9


def check_gradients(patient: Patient) -> Iterator[Finding]:
    """Compare gradients on the student's weights, in the first batch."""
    for name, value in patient.losses.items():
        if not value.isfinite().all():
            yield Finding(
                'loss-not-finite',
                f'{_title(name)} is {float(value.mean())} in the first batch',
                'lower its weight, or look at what it reads',
            )
            return
    gradients = patient.gradients
    # without losses of its own, the student learns from its teacher alone
    task: torch.Tensor = sum(
        (gradients[name] for name in patient.task_names), torch.zeros(1)
    )
    size = float(task.norm())
    if patient.task_names and size == 0.0:
        yield Finding(
            'task-without-gradient',
            "the student's own losses reach none of its weights",
            'the student is frozen (frozen_stages, frozen_modules), or its '
            'loss_weight is 0',
        )
        return
    for name, gradient in gradients.items():
        if name in patient.task_names:
            continue
        length = float(gradient.norm())
        if length == 0.0 and _is_off(name, patient):
            continue
        if length == 0.0:
            yield Finding(
                'loss-without-gradient',
                f'{_title(name)} = {float(patient.losses[name]):.3g} moves '
                'no weight of the student',
                'its loss_weight is 0, both sides are equal, or it is all '
                'learnt by its own layers',
            )
            continue
        if not patient.task_names:
            continue
        ratio = length / size
        cosine = float(gradient @ task) / (length * size)
        if ratio > _MOST:
            yield Finding(
                'loss-dominates',
                f'the gradient of {_title(name)} is {ratio:.0f} times the '
                "task's",
                f'lower its loss_weight, by {ratio / 10:.0f} times, say',
            )
        elif ratio < _LEAST:
            yield Finding(
                'loss-negligible',
                f"the gradient of {_title(name)} is {ratio:.1g} of the task's",
                'raise its loss_weight, or leave it out',
            )
        if cosine < _AGAINST:
            yield Finding(
                'loss-against-task',
                f"the gradient of {_title(name)} points against the task's "
                f'(cosine {cosine:.2f})',
                'look at its sign, at what it taps, and at the teacher',
            )


def _is_off(name: str, patient: Patient) -> bool:
    """Whether it is a term of several, 0 by its settings."""
    part = name.partition('|')[0]
    others = [
        float(gradient.norm())
        for key, gradient in patient.gradients.items()
        if key.partition('|')[0] == part
    ]
    return float(patient.losses[name]) == 0.0 and max(others) > 0.0


def _title(name: str) -> str:
    return name.rpartition('|')[2]
