"""Does the teacher answer the same question in the same way?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from mmkd.doctor.answers import ask
from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient

_CLOSE = 1e-2  # of the largest value; half precision is that coarse


def check_behaviour(patient: Patient) -> Iterator[Finding]:
    """Ask every teacher about an image alone, or twice about all."""
    batch = patient.batches[0]
    for label, teacher in patient.teachers:
        first = patient.answers[label][0].output
        if not all(tensor.isfinite().all() for tensor in first):
            yield Finding(
                'teacher-not-finite',
                f'the {label} answers NaN or infinity',
                'look at its normalisation, its dtype (float16 overflows; '
                'bfloat16 does not) and its weights',
            )
            continue
        if _all_alike(first) and not _all_alike([batch.images]):
            yield Finding(
                'teacher-ignores-images',
                f'the {label} gives the same output for every image',
                'its weights are not those of a trained network, or its '
                'images are scaled to nothing',
            )
            continue
        images = patient.cast(teacher, teacher.renormalize(batch.images))
        few = ask(teacher.network, images[:1], batch.samples[:1]).output
        rows = [t[: len(a)] for t, a in zip(first, few, strict=False)]
        if _same_shapes(rows, few) and _close(rows, few):
            continue  # neither chance nor the rest of the batch
        again = ask(teacher.network, images, batch.samples).output
        if not _close(first, again):
            yield Finding(
                'teacher-random',
                f'the {label} answers the same images differently',
                'something in it is random in eval mode (dropout of '
                'functional form): switch it off',
            )
        elif (
            len(images) > 1 and not teacher._norms and _same_shapes(rows, few)
        ):
            yield Finding(
                'teacher-batch-dependent',
                f'the answer of the {label} to an image depends on the '
                'others of the batch',
                'it normalises over the batch: load running statistics, or '
                'say that you want it (teacher.batch_statistics=True)',
            )


def _all_alike(tensors: Sequence[torch.Tensor]) -> bool:
    last = tensors[-1]
    return len(last) > 1 and bool((last == last[:1]).all())


def _same_shapes(
    one: Sequence[torch.Tensor], two: Sequence[torch.Tensor]
) -> bool:
    return [t.shape for t in one] == [t.shape for t in two]


def _close(one: Sequence[torch.Tensor], two: Sequence[torch.Tensor]) -> bool:
    if not _same_shapes(one, two):
        return True  # regions that the network chose
    for first, second in zip(one, two, strict=True):
        if not first.numel():
            continue
        first, second = first.float(), second.float()
        largest = float(first.abs().max())
        if float((first - second).abs().max()) > _CLOSE * largest + 1e-6:
            return False
    return True
