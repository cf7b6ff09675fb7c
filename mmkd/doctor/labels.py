"""Are there labels, and do they say anything?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient
from mmkd.tasks import (
    check_class_labels,
    class_head,
    class_labels,
    num_classes,
)

_ENOUGH = 8


def check_labels(patient: Patient) -> Iterator[Finding]:
    """Look at the labels of all batches."""
    samples = [s for batch in patient.batches for s in batch.samples]
    student = patient.distiller.student
    if not samples or not any(map(_labelled, samples)):
        if class_head(student)[1] is None:
            return  # a backbone, which the teacher alone trains
        yield Finding(
            'labels-missing',
            'the samples carry no labels',
            'load them in train_dataloader.dataset.pipeline (LoadAnnotations,'
            ' with_label), for the student learns from them, too',
        )
        return
    if any(map(_empty, samples)) and all(map(_empty, samples)):
        yield Finding(
            'labels-empty',
            f'{len(samples)} images have no box, no visible key point, or '
            'masks of "no label" alone',
            'look at the annotations, ignore_index and reduce_zero_label',
        )
        return
    try:
        check_class_labels(student, samples)
    except ValueError as error:
        yield Finding(
            'labels-out-of-range', str(error), 'see tools/distill.py'
        )
        return
    labels = class_labels(samples)
    key, head = class_head(student)
    if labels is None or key == '':
        return
    ignored = getattr(head, 'ignore_index', None)
    labels = labels[labels != ignored] if ignored is not None else labels
    count = num_classes(student) or 1
    many = len(samples) >= _ENOUGH and key == 'head'
    if many and count > 1 and len(labels.unique()) == 1:
        yield Finding(
            'labels-one-class',
            f'the first {len(samples)} images are all of class '
            f'{int(labels[0])}',
            'shuffle: train_dataloader.sampler.shuffle=True',
        )


def _labelled(sample: Any) -> bool:
    names = ('gt_label', 'gt_score', 'gt_sem_seg', 'gt_instances')
    return any(name in sample for name in (*names, 'gt_instance_labels'))


def _empty(sample: Any) -> bool:
    if 'gt_sem_seg' in sample:
        return bool((sample.gt_sem_seg.data == 255).all())
    if 'gt_instance_labels' in sample:
        weights = getattr(sample.gt_instance_labels, 'keypoint_weights', None)
        return weights is not None and not bool(torch.as_tensor(weights).any())
    if 'gt_instances' in sample:
        return len(sample.gt_instances) == 0
    return False
