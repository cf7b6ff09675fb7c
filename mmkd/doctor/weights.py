"""Do the teacher's weights look as if they were trained?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient


def check_weights(patient: Patient) -> Iterator[Finding]:
    """Look at weights and running statistics of every teacher."""
    for label, teacher in patient.teachers:
        network = teacher.network
        if not all(p.isfinite().all() for p in network.parameters()):
            yield Finding(
                'teacher-weights-not-finite',
                f'weights of the {label} are NaN or infinite',
                f'{teacher.checkpoint} is of a run that diverged: take an '
                'earlier one',
            )
        norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
        if norms and all(map(_untouched, norms)) and not teacher._norms:
            yield Finding(
                'teacher-norms-untrained',
                f'all {len(norms)} batch norms of the {label} have the '
                'statistics that they start with (mean 0, variance 1)',
                'its checkpoint has no running statistics: save the whole '
                'state_dict, or set teacher.batch_statistics=True',
            )
        if _same(network, patient.distiller.student):
            yield Finding(
                'teacher-is-student',
                f'student and {label} have the same weights',
                "the teacher's checkpoint was loaded into the student, too "
                '(load_from, init_cfg): it has nothing to teach',
            )


def _untouched(norm: _BatchNorm) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and bool((variance == 1).all())


def _same(one: nn.Module, two: nn.Module) -> bool:
    first, second = dict(one.named_parameters()), dict(two.named_parameters())
    if first.keys() != second.keys() or not first:
        return False
    return all(
        first[key].shape == second[key].shape
        and torch.equal(first[key].float(), second[key].float())
        for key in first
    )
