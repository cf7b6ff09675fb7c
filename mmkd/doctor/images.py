"""Are the images images?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient
from mmkd.tasks import repository_of

_FLAT = 0.05  # of usual images, the standard deviation is near 1
_RAW = 50.0


def check_images(patient: Patient) -> Iterator[Finding]:
    """Look at the pixels that the student is shown."""
    images = patient.batches[0].images.float()
    if not images.isfinite().all():
        yield Finding(
            'images-not-finite',
            'images hold NaN or infinity after the data preprocessor',
            'look for a std of 0 in data_preprocessor, or broken files',
        )
        return
    spread = images.flatten(1).std(1)
    if bool((spread < 1e-6).all()):
        yield Finding(
            'images-constant',
            'every image is of a single colour',
            'look at the files, and at the pipeline that loads them',
        )
        return
    if len(images) > 1 and bool((images == images[:1]).all()):
        yield Finding(
            'images-repeated',
            f'all {len(images)} images of a batch are the same',
            'look at the sampler and at the list of files',
        )
    if float(images.std()) < _FLAT:
        yield Finding(
            'images-flat',
            f'pixels vary by {float(images.std()):.2g} only after the data '
            'preprocessor',
            'they are normalised twice, or scaled to 0..1 before mean and '
            'std of 0..255: leave one out',
        )
    preprocessor: Any = patient.distiller.data_preprocessor
    normalized = getattr(preprocessor, 'mean', None) is not None
    of_boxes = repository_of(patient.distiller.student) == 'mmdet'
    if not normalized and not of_boxes and float(images.mean()) > _RAW:
        yield Finding(
            'images-not-normalized',
            f'pixels reach the student as {float(images.min()):.0f} to '
            f'{float(images.max()):.0f}',
            'give data_preprocessor mean and std',
        )
