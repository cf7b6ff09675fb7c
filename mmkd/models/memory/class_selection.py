"""Choice of pixels, and means of regions, for every image and class."""

from __future__ import annotations

import torch
from torch.nn import functional


@torch.no_grad()
def select_pixels(
    labels: torch.Tensor,
    num_classes: int,
    pixels_per_class: int,
    sampling: str,
    draws: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose up to ``pixels_per_class`` pixels of every image and class.

    For a class with n pixels, k = min(n, pixels_per_class) different numbers
    p are drawn from 0..n-1. ``sampling='class'`` takes the p-th pixels of
    the class in raster order; ``'leading'`` takes the p-th pixels of the
    image, whatever their class.

    Args:
        labels: (N, A), 0..num_classes - 1; ``num_classes`` marks pixels of
            no class.
        num_classes: K.
        pixels_per_class: P.
        sampling: 'leading' or 'class'.
        draws: (rows, 4 + P') numbers to use instead of random ones, each row
            [image, class, n, k, p_1, ..., p_k, padding].
        generator: source of random numbers; None is PyTorch's default.

    Returns:
        Pixel indices (N, K, P), of which the first ``counts`` (N, K) are
        meant; the others are valid indices without meaning.
    """
    counts = class_counts(labels, num_classes)
    if draws is not None:
        chosen, counts = _given(draws, counts, pixels_per_class)
    else:
        chosen = _random(labels, counts, pixels_per_class, generator)
        counts = counts.clamp(max=pixels_per_class)
    if sampling == 'class':
        order = labels.argsort(dim=1, stable=True)
        starts = _starts(class_counts(labels, num_classes))
        chosen = _take(order, starts[..., None] + chosen)
    return chosen.clamp(0, labels.shape[1] - 1), counts


def class_counts(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Count the pixels of every class: labels (N, A) -> (N, K)."""
    counts = labels.new_zeros(len(labels), num_classes + 1)
    counts.scatter_add_(1, labels, torch.ones_like(labels))
    return counts[:, :num_classes]


@torch.no_grad()
def region_means(
    feats: torch.Tensor, labels: torch.Tensor, num_classes: int
) -> torch.Tensor:
    """Average the vectors of every image and class.

    Args:
        feats: (N, A, D).
        labels: (N, A) as in ``select_pixels``.
        num_classes: K.

    Returns:
        Unit vectors (N, K, D); zeros where a class is absent.
    """
    member = functional.one_hot(labels, num_classes + 1)[..., :num_classes]
    totals = member.to(feats.dtype).transpose(1, 2) @ feats
    counts = class_counts(labels, num_classes).clamp(min=1)
    return functional.normalize(totals / counts[..., None], dim=2)


def _random(
    labels: torch.Tensor,
    counts: torch.Tensor,
    pixels_per_class: int,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """Draw different numbers below each count: (N, K, P)."""
    device = labels.device if generator is None else generator.device
    noise = torch.rand(labels.shape, generator=generator, device=device)
    shuffled = noise.to(labels.device).argsort(1)
    # sort by label, then shuffle inside each label
    by_label = labels.sort(1).values
    order = by_label.gather(1, shuffled).argsort(dim=1, stable=True)
    order = shuffled.gather(1, order)
    starts = _starts(counts)[..., None]
    places = torch.arange(pixels_per_class, device=labels.device)
    return _take(order, starts + places) - starts


def _given(
    draws: torch.Tensor, counts: torch.Tensor, pixels_per_class: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return numbers (N, K, P) and counts (N, K) from rows of draws."""
    draws = draws.to(counts.device)
    image, cls, num_pixels, used = draws[:, :4].unbind(1)
    if not torch.equal(counts[image, cls], num_pixels):
        raise ValueError(
            f'draws say {num_pixels.tolist()} pixels per image and class, '
            f'the labels have {counts[image, cls].tolist()}; give the draws '
            'of these labels at the size of the features'
        )
    chosen = counts.new_zeros(*counts.shape, pixels_per_class)
    numbers = draws[:, 4 : 4 + pixels_per_class].clamp(min=0)
    chosen[image, cls, : numbers.shape[1]] = numbers
    written = torch.zeros_like(counts)
    written[image, cls] = used
    return chosen, written


def _starts(counts: torch.Tensor) -> torch.Tensor:
    """Position of the first pixel of each class among sorted labels."""
    return counts.cumsum(1) - counts


def _take(order: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Read ``order`` (N, A) at ``places`` (N, K, P), clamped to its end."""
    places = places.clamp(0, order.shape[1] - 1)
    return order.gather(1, places.flatten(1)).view_as(places)
