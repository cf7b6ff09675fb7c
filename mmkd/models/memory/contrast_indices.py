"""Which samples of the data set an anchor is contrasted with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmkd.utils.indices import FirstGpuBatches, check_index, is_integer

# Of this many samples per negative and more, those drawn twice are few: they
# are drawn again, ROUNDS times. What stays double has a chance below 1e-6.
SPARSE = 32
ROUNDS = 6


class ContrastIndices(nn.Module):
    """Draw positives and negatives of every sample from the labels.

    All samples are held once in the order of their classes, so that the
    members of one class, and those of all others, are ranges of positions:
    drawing is arithmetic on the device of the labels, the same for any
    number of classes. Buffers, not part of the ``state_dict``: ``classes``
    (n,), ``order`` (n,), ``starts`` (K,), ``counts`` (K,).

    Args:
        labels: (n,) integer class of every sample of the data set.
        num_positives: P, samples of the same class, drawn without
            replacement; the sample itself may be among them.
        num_negatives: N, samples drawn uniformly over all samples of the
            other classes.
        replacement: draw negatives with replacement; without it they are
            all different, which costs a random number per sample of the
            data set and anchor where the negatives are many of them.

    Raises:
        ValueError: labels that are not one integer per sample, a class with
            fewer than P samples, a single class, or, without replacement,
            fewer than N samples of other classes.
    """

    classes: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor
    counts: torch.Tensor

    def __init__(
        self,
        labels: torch.Tensor | Sequence[int],
        num_positives: int = 1,
        num_negatives: int = 8192,
        replacement: bool = True,
    ) -> None:
        super().__init__()
        for key, value in (
            ('num_positives', num_positives),
            ('num_negatives', num_negatives),
        ):
            if value < 1:
                raise ValueError(
                    f'ContrastIndices: {key}={value} must be at least 1; '
                    f'set e.g. {key}=1'
                )
        labels = torch.as_tensor(labels)
        if labels.ndim != 1 or not is_integer(labels):
            raise ValueError(
                'ContrastIndices: labels must be one integer per sample, got '
                f'{labels.dtype} {tuple(labels.shape)}; mixed, soft and '
                'multiple labels have no class to draw from'
            )
        values, classes, counts = labels.unique(
            return_inverse=True, return_counts=True
        )
        if len(values) < 2:
            raise ValueError(
                f'ContrastIndices: {len(labels)} samples of '
                f'{len(values)} class leave no negatives; use a data set '
                'with at least two classes'
            )
        if counts.min() < num_positives:
            scarce = counts.argmin()
            raise ValueError(
                f'ContrastIndices: class {int(values[scarce])} has '
                f'{int(counts[scarce])} samples, fewer than '
                f'num_positives={num_positives}; reduce num_positives'
            )
        fewest = len(labels) - int(counts.max())
        if not replacement and fewest < num_negatives:
            raise ValueError(
                f'ContrastIndices: num_negatives={num_negatives} different '
                f'samples of other classes, but some class has {fewest}; '
                'reduce num_negatives, or set replacement=True'
            )
        self.num_positives = num_positives
        self.num_negatives = num_negatives
        self.replacement = replacement
        self.fewest = fewest
        buffers = dict(
            classes=classes,
            order=classes.argsort(stable=True),
            starts=counts.cumsum(0) - counts,
            counts=counts,
        )
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self._may_look = FirstGpuBatches()

    @torch.no_grad()
    def forward(
        self,
        sample_idx: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the indices of one batch.

        Args:
            sample_idx: (B,) index of every sample in the data set.
            generator: source of random numbers on the device of the labels;
                None is PyTorch's default.

        Returns:
            (B, 1 + P) the sample itself and its positives; (B, N) negatives.

        Raises:
            ValueError: not (B,) integers, or an index outside the data set.
        """
        sample_idx = sample_idx.to(self.order.device)
        self._check(sample_idx)
        classes = self.classes[sample_idx]
        start = self.starts[classes][:, None]
        count = self.counts[classes][:, None]
        members = _distinct(count, self.num_positives, generator)
        size, amount = len(self.order), self.num_negatives
        others = self._others(size - count, amount, generator)
        others = others + count * (others >= start)  # jump over the class
        positives = torch.cat(
            [sample_idx[:, None], self.order[start + members]], 1
        )
        return positives, self.order[others]

    def compare(
        self, owner: str, sample_idx: torch.Tensor, labels: torch.Tensor
    ) -> None:
        """Look whether a batch agrees with the data set on its classes.

        Pairs of samples are compared, since classes may be numbered anew.
        Waits for the device.

        Args:
            owner: beginning of the message.
            sample_idx: (B,).
            labels: (B,), those of the batch.

        Raises:
            ValueError: names a sample of another class.
        """
        classes = self.classes[sample_idx]
        same = labels[:, None] == labels
        wrong = (same != (classes[:, None] == classes)).any(1).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(
                f'{owner}: sample_idx={int(sample_idx[row])} of the batch '
                f'has label {int(labels[row])}, the data set says otherwise: '
                'the indices count a part of the set; concatenate data sets '
                "by type='mmkd.IndexedConcatDataset'"
            )

    def _others(
        self,
        limit: torch.Tensor,
        amount: int,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """Draw positions (B, amount) below limit (B, 1)."""
        size = len(self.order)
        if self.replacement:
            return _below(limit, amount, generator)
        if amount * SPARSE <= self.fewest:
            return _redrawn(limit, amount, generator)
        return _subset(limit, amount, size, generator)

    def _check(self, sample_idx: torch.Tensor) -> None:
        if sample_idx.ndim != 1 or not is_integer(sample_idx):
            raise ValueError(
                'ContrastIndices: sample_idx must be (B,) integers, got '
                f'{sample_idx.dtype} {tuple(sample_idx.shape)}; give the '
                "field 'sample_idx' of the data samples"
            )
        if not self._may_look(sample_idx):
            return
        check_index(
            'ContrastIndices', 'sample_idx', sample_idx, len(self.order)
        )


def _below(
    limit: torch.Tensor, amount: int, generator: torch.Generator | None
) -> torch.Tensor:
    """Draw integers (B, amount) uniform in [0, limit), limit (B, 1)."""
    uniform = torch.rand(
        len(limit),
        amount,
        dtype=torch.float64,  # float32 has too few values for large sets
        device=limit.device,
        generator=generator,
    )
    return torch.minimum((uniform * limit).long(), limit - 1)


def _redrawn(
    limit: torch.Tensor, amount: int, generator: torch.Generator | None
) -> torch.Tensor:
    """Draw sets (B, amount) of different integers below limit (B, 1).

    For amounts that are small against limit: integers that occur again are
    replaced, a fixed number of times, so that nothing waits for the device.
    No integer is treated unlike another, so every set is equally likely.
    """
    drawn = _below(limit, amount, generator)
    for _ in range(ROUNDS):
        drawn = drawn.sort(1).values
        again = drawn[:, 1:] == drawn[:, :-1]
        new = _below(limit, amount - 1, generator)
        drawn[:, 1:] = torch.where(again, new, drawn[:, 1:])
    return drawn


def draw_others(
    sample_idx: torch.Tensor, num_samples: int, amount: int
) -> torch.Tensor:
    """Draw (B, amount) samples other than oneself, of whatever class."""
    others = torch.randint(
        num_samples - 1, (len(sample_idx), amount), device=sample_idx.device
    )
    return others + (others >= sample_idx[:, None])


def _subset(
    limit: torch.Tensor,
    amount: int,
    columns: int,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """Draw sets (B, amount) of different integers below limit (B, 1).

    For large amounts: those with the largest of ``columns`` random keys,
    columns >= limit.
    """
    keys = torch.rand(
        len(limit), columns, device=limit.device, generator=generator
    )
    keys[torch.arange(columns, device=limit.device) >= limit] = -1
    return keys.topk(amount, dim=1, sorted=False).indices


def _distinct(
    limit: torch.Tensor, amount: int, generator: torch.Generator | None
) -> torch.Tensor:
    """Draw sets (B, amount) of different integers below limit (B, 1).

    Floyd's method: every set is equally likely; the order is not random.
    """
    drawn = limit.new_empty(len(limit), 0)
    for last in range(amount, 0, -1):
        largest = limit - last
        new = _below(largest + 1, 1, generator)
        seen = (drawn == new).any(1, keepdim=True)
        drawn = torch.cat([drawn, torch.where(seen, largest, new)], 1)
    return drawn
