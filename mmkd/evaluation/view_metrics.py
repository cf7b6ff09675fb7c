"""What networks with branches tell of rotated images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import nn

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
        for name, hits in _hits(distiller, data).items():
            count = len(data['data_samples'])
            value = hits.float().mean().cpu() * count
            counts[name] = counts.get(name, torch.zeros(())) + value
        total += len(data['data_samples'])
    for value in (total, *counts.values()):
        all_reduce(value)
    return {name: 100 * float(v / total) for name, v in counts.items()}


def _hits(distiller: Any, data: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return what was right, as booleans, by the name of the metric."""
    if getattr(distiller, 'views', None) is None:
        raise ValueError(
            'view metrics: the model shows no views; set model.views='
            "dict(type='mmkd.RotationViews'), or remove ViewMetricsHook"
        )
    roles = [role for role in distiller.roles if role.learns]
    branches = {role.label: _branches(role.heads) for role in roles}
    seen = distiller.observe(data['inputs'], data['data_samples'])
    count = distiller.views.num_rotations
    hits = {}
    for label, name in branches.items():
        prefix = '' if label == 'student' else f'{label}.'
        for number, logits in enumerate(seen.tensors[label][name], 1):
            key = f'{prefix}branch{number}'
            guess = class_logits(logits, count).argmax(1)
            right = logits.argmax(1) == seen.view_labels
            hits[f'{key}/joint_accuracy'] = right
            hits[f'{key}/class_accuracy'] = guess == seen.view_labels // count
    labels = [*branches, *_first_teacher(distiller)]
    guesses = [seen.outputs[label].argmax(1) for label in labels]
    if len(guesses) > 1:
        same = torch.stack([guess == guesses[0] for guess in guesses]).all(0)
        for turn in range(count):
            hits[f'rotation{90 * turn}/agreement'] = same[turn::count]
    return hits


def _first_teacher(distiller: Any) -> list[str]:
    labels = [role.label for role in distiller.roles]
    return [label for label in labels if label.startswith('teacher')][:1]


def _branches(heads: nn.ModuleDict) -> str:
    for name, head in heads.items():
        if isinstance(head, HierarchicalBranches):
            return str(name)
    raise ValueError(
        'view metrics: the model has no branches; give aux_heads=dict(joint='
        "dict(type='mmkd.HierarchicalBranches', ...)), or remove "
        'ViewMetricsHook'
    )
