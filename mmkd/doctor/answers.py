"""A network's answers, image by image, compared with the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mmkd.tasks import class_head, repository_of


@dataclass
class Answers:
    """What a network says to some images.

    Args:
        loss: (N,) how badly it explains the labels of every image.
        logits: (P, K) of images or pixels, where there are classes.
        labels: (P,) of the same, without what is ignored.
        images: (P,) number of the image of each.
        output: the raw output, flat list of tensors.
    """

    loss: torch.Tensor
    logits: torch.Tensor | None
    labels: torch.Tensor | None
    images: torch.Tensor | None
    output: list[torch.Tensor]


def balanced(predicted: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean over the classes of the share of right answers."""
    shares = [
        (predicted[labels == k] == k).double().mean() for k in labels.unique()
    ]
    return float(torch.stack(shares).mean()) if shares else 0.0


def flat(value: Any) -> list[torch.Tensor]:
    """Return the tensors in an output, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for entry in value for tensor in flat(entry)]
    return []


@torch.no_grad()
def ask(
    network: nn.Module, images: torch.Tensor, samples: Sequence[Any]
) -> Answers:
    """Run a network in the mode that it is in.

    Args:
        network: of a task repository.
        images: (N, C, H, W), as the network wants them.
        samples: with labels.
    """
    output = flat(network(images, list(samples), mode='tensor'))
    repository = repository_of(network)
    if repository == 'mmpretrain' and output[-1].ndim == 2:
        labels = [s.gt_label for s in samples if 'gt_label' in s]
        if len(labels) == len(samples):
            return _classified(output, torch.cat(labels))
    if repository == 'mmseg' and output[-1].ndim == 4:
        ignored = getattr(class_head(network)[1], 'ignore_index', 255)
        return _segmented(output, samples, ignored)
    return Answers(
        _own_loss(network, images, samples), None, None, None, output
    )


def _classified(output: list[torch.Tensor], labels: torch.Tensor) -> Answers:
    logits = output[-1].float()
    labels = labels.to(logits.device)
    known = (labels >= 0) & (labels < logits.shape[1])
    loss = functional.cross_entropy(
        logits, labels.where(known, -100), reduction='none', ignore_index=-100
    )
    rows = torch.arange(len(labels), device=labels.device)
    return Answers(loss, logits[known], labels[known], rows[known], output)


def _segmented(
    output: list[torch.Tensor], samples: Sequence[Any], ignored: int
) -> Answers:
    """Compare a grid of pixels, at the output's resolution."""
    logits = output[-1].float()
    size = logits.shape[-2:]
    maps = torch.stack([s.gt_sem_seg.data[0] for s in samples])[:, None]
    labels = functional.interpolate(maps.float(), size, mode='nearest')
    labels = labels[:, 0].long().to(logits.device)
    if logits.shape[1] == 1:
        logits = torch.cat([-logits, logits], 1) / 2
    count = logits.shape[1]
    labels = labels.where((labels >= 0) & (labels < count), ignored)
    known = labels != ignored
    losses = functional.cross_entropy(
        logits, labels, reduction='none', ignore_index=ignored
    )
    loss = losses.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
    rows = torch.arange(len(labels), device=labels.device)
    rows = rows[:, None, None].expand_as(labels)
    return Answers(
        loss,
        logits.movedim(1, -1)[known],
        labels[known],
        rows[known],
        output,
    )


def _own_loss(
    network: Any, images: torch.Tensor, samples: Sequence[Any]
) -> torch.Tensor:
    """Return the network's own loss of every image; NaN where it has none."""
    found = []
    for image, sample in zip(images, samples, strict=True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # some heads sample
            try:
                losses = network.loss(image[None], [sample.clone()])
            except Exception:  # without labels, or a head that refuses
                found.append(torch.tensor(float('nan')))
                continue
        parts = [
            value
            for key, entry in losses.items()
            if 'loss' in key
            for value in flat(entry)
        ]
        found.append(torch.stack([p.float().mean() for p in parts]).sum())
    return torch.stack(found).to(images.device)
