"""Are the tapped features alive?"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient
from mmkd.models.distillers.shrink import as_list
from mmkd.tasks import class_head, num_classes

_DEAD = 0.9  # share of channels
_RATIO = 1e4


def check_features(patient: Patient) -> Iterator[Finding]:
    """Look at every tensor that a loss reads."""
    student = patient.distiller.student
    classes, dense = num_classes(student), class_head(student)[0] != 'head'
    sizes: dict[str, dict[str, float]] = {}
    for label, tensors in patient.tensors.items():
        for name, value in tensors.items():
            if dense and isinstance(value, torch.Tensor):
                yield from _check_size(name, label, value)
            for tensor in as_list(value):
                tensor = tensor.detach().float()
                where = f'taps.{name} of the {label}'
                yield from _check(where, tensor)
                several = tensor.ndim == 2 or dense
                if several and tensor.shape[1:2] == (classes,):
                    continue  # an untrained head's are small
                size = float(tensor.square().mean().sqrt())
                sizes.setdefault(name, {})[label] = size
    for name, by_label in sizes.items():
        low, high = min(by_label.values()), max(by_label.values())
        if low > 0 and high / low > _RATIO:
            text = ', '.join(f'{k} {v:.2g}' for k, v in by_label.items())
            yield Finding(
                'tap-scale',
                f'taps.{name} differ in size by {high / low:.0g} ({text})',
                'tap the tensors after a norm, or use a loss that does not '
                'mind (cosine, relations)',
            )


def _check(where: str, tensor: torch.Tensor) -> Iterator[Finding]:
    if not tensor.isfinite().all():
        yield Finding(
            'tap-not-finite',
            f'{where} hold NaN or infinity',
            'tap another module; look at weights and images',
        )
        return
    if not tensor.any():
        yield Finding(
            'tap-dead',
            f'{where} are 0 everywhere',
            'its ReLUs are dead, or nothing flows there: tap another module',
        )
        return
    if float(tensor.max()) == float(tensor.min()):
        yield Finding(
            'tap-constant',
            f'{where} have the same value everywhere',
            'tap a module that looks at the images',
        )
        return
    if len(tensor) > 1 and bool((tensor == tensor[:1]).all()):
        yield Finding(
            'tap-ignores-images',
            f'{where} are the same for every image',
            'tap a module that looks at the images',
        )
        return
    if tensor.ndim < 2 or tensor.shape[1] < 4:
        return
    channels = tensor.transpose(0, 1).flatten(1)
    dead = float((channels == channels[:, :1]).all(1).double().mean())
    if dead > _DEAD and channels.shape[1] > 1:
        yield Finding(
            'tap-dead-channels',
            f'{dead:.0%} of the channels of {where} never change',
            'tap another module, or take weights that are trained',
        )


def _check_size(
    name: str, label: str, tensor: torch.Tensor
) -> Iterator[Finding]:
    if tensor.ndim == 4 and tensor.shape[-2:] == (1, 1):
        yield Finding(
            'tap-one-pixel',
            f'taps.{name} of the {label} are maps of a single position',
            'the images are too small for this network: use larger ones, or '
            'tap an earlier stage',
        )
