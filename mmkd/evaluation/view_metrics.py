"""What networks with branches tell of rotated images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import nn

from mmkd.models.distillers import OfflineDistiller
from mmkd.models.distillers.batch import stack_labels
from mmkd.models.distillers.sides import named_tensors
from mmkd.models.heads import HierarchicalBranches
from mmkd.models.heads.hierarchical_branches import class_logits


@torch.no_grad()
def view_metrics(distiller: Any, batches: Iterable[Any]) -> dict[str, float]:
    """Evaluate branches, and agreement by rotation, on a data set.

    Every batch is shown in all rotations; the mode of the networks stays.

    Args:
        distiller: an `OfflineDistiller` or `OnlineDistiller` with views and
            `HierarchicalBranches`.
        batches: as a data loader gives them, with labels.

    Returns:
        Values in percent. ``branch1/joint_accuracy``: class and rotation
        are right, in all rotations; ``branch1/class_accuracy``: the class
        alone, by joint logits summed over rotations; of every peer of a
        cohort: ``peer0.branch1/...``. ``rotation90/agreement``: student and
        (first) teacher, or all peers, predict the same class for images
        turned by 90 degrees.

    Raises:
        ValueError: the distiller has no views, or no branches.
    """
    counts: dict[str, torch.Tensor] = {}
    total = torch.zeros(())
    for batch in batches:
        data = distiller.data_preprocessor(batch, False)
        labels = stack_labels(data['data_samples']).to(data['inputs'].device)
        for name, hits in _hits(distiller, data['inputs'], labels).items():
            value = hits.float().mean().cpu() * len(labels)
            counts[name] = counts.get(name, torch.zeros(())) + value
        total += len(labels)
    for value in (total, *counts.values()):
        all_reduce(value)
    return {name: 100 * float(v / total) for name, v in counts.items()}


def _hits(
    distiller: Any, inputs: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return what was right, as booleans, by the name of the metric."""
    if getattr(distiller, 'views', None) is None:
        raise ValueError(
            'view metrics: the model shows no views; set model.views='
            "dict(type='mmkd.RotationViews'), or remove ViewMetricsHook"
        )
    images, joint_labels = distiller.views(inputs, labels)
    count = distiller.views.num_rotations
    if isinstance(distiller, OfflineDistiller):
        sides = [('', distiller.student, distiller.student_taps)]
        heads = [(distiller.aux_heads, distiller.aux_configs)]
    else:
        peers = zip(distiller.cohort.peers, distiller.taps, strict=True)
        sides = [(f'peer{k}.', *peer) for k, peer in enumerate(peers)]
        heads = list(
            zip(distiller.aux_heads, distiller.aux_configs, strict=True)
        )
    hits = {}
    guesses = []
    for (prefix, network, taps), own in zip(sides, heads, strict=True):
        name = _branches(own[0])
        with taps.recording() as record:
            guesses.append(network(images, mode='tensor').argmax(1))
        joint = named_tensors(record, *own, [name])[name]
        for number, logits in enumerate(joint, 1):
            key = f'{prefix}branch{number}'
            guess = class_logits(logits, count).argmax(1)
            hits[f'{key}/joint_accuracy'] = logits.argmax(1) == joint_labels
            hits[f'{key}/class_accuracy'] = guess == joint_labels // count
    for teacher in getattr(distiller, 'teachers', ())[:1]:
        guesses.append(teacher.outputs(images).argmax(1))
    same = torch.stack([guess == guesses[0] for guess in guesses]).all(0)
    if len(guesses) > 1:
        for turn in range(count):
            hits[f'rotation{90 * turn}/agreement'] = same[turn::count]
    return hits


def _branches(heads: nn.ModuleDict) -> str:
    for name, head in heads.items():
        if isinstance(head, HierarchicalBranches):
            return str(name)
    raise ValueError(
        'view metrics: the model has no branches; give aux_heads=dict(joint='
        "dict(type='mmkd.HierarchicalBranches', ...)), or remove "
        'ViewMetricsHook'
    )
