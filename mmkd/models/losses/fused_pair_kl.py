"""KL divergence between the pixel similarities of all pairs of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd import Function

from mmkd.models.losses.fused_bank_kl import (
    MAX_SAFE_SCALE,
    row_kl_,
    rows_per_tile,
    scaled_gradient,
)

# The exponentials of a pair of images are kept between the two passes over
# its tiles up to this many elements (2 x 256 MiB in float32), and computed
# twice above, so that memory stays bounded for maps of any size.
MAX_KEPT_ELEMENTS = 2**26


def pair_relation_kl(
    student: torch.Tensor,
    teacher: torch.Tensor,
    scale: float,
    group_size: int,
) -> torch.Tensor:
    """Compare the similarity blocks of all ordered pairs inside groups.

    loss = mean over images g in group G and their partners i in G, and over
    pixels a, of KL(softmax_b(scale t_ga t_ib) || softmax_b(scale s_ga s_ib)).
    The gradient is formed in the forward pass and goes to ``student`` only.

    Args:
        student: (N, A, C_s) unit rows.
        teacher: (N, A, C_t) unit rows.
        scale: 1 / temperature.
        group_size: images per group; the last group may be smaller.

    Returns:
        Scalar.
    """
    return _PairRelationKL.apply(student, teacher, scale, group_size)


class _PairRelationKL(Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: torch.Tensor,
        teacher: torch.Tensor,
        scale: float,
        group_size: int,
    ) -> torch.Tensor:
        want_gradient = ctx.needs_input_grad[0]
        grad = torch.zeros_like(student) if want_gradient else None
        kernel = _SharpPair if scale > MAX_SAFE_SCALE else _SharedPair
        pair = kernel(student, teacher, scale, grad)
        loss = student.new_zeros(())
        num_images, num_pixels = student.shape[:2]
        for begin in range(0, num_images, group_size):
            group = range(begin, min(begin + group_size, num_images))
            weight = 1 / (num_images * len(group) * num_pixels)
            for i in group:
                for j in range(i, group.stop):
                    loss += pair.accumulate(i, j, weight)
        ctx.save_for_backward(*([] if grad is None else [grad]))
        return loss.clamp_(min=0)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
        return scaled_gradient(ctx, upstream), None, None, None


class _Pair:
    """Work space and tiling common to both forms.

    Attributes:
        keys_s, keys_t: features times ``scale``.
        rows: rows per tile.
    """

    def __init__(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        scale: float,
        grad: torch.Tensor | None,
    ) -> None:
        self.student, self.teacher = student, teacher
        self.keys_s, self.keys_t = student * scale, teacher * scale
        self.scale, self.grad = scale, grad
        self.pixels = student.shape[1]
        self.rows = min(self.pixels, rows_per_tile(student, self.pixels))

    def tiles(self) -> Iterator[slice]:
        """Yield the row slices of the tiles."""
        for begin in range(0, self.pixels, self.rows):
            yield slice(begin, min(begin + self.rows, self.pixels))


class _SharedPair(_Pair):
    """Both orders of a pair at once, for logits that are safe to exponentiate.

    The block of (j, i) is the transposed block of (i, j), so its softmax
    takes the column sums of the same exponentials. The block of (i, i) is
    symmetric: only tiles on and right of the diagonal are computed.

    The first pass accumulates row and column sums, the second forms the
    gradient M = E_s (1/row_s + 1/column_s) - E_t (1/row_t + 1/column_t).
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        tile = self.rows * self.pixels
        block = self.pixels**2
        self.keep = self.grad is not None and block <= MAX_KEPT_ELEMENTS
        self.space = self.student.new_empty(2, block if self.keep else tile)
        self.spare = self.student.new_empty(tile)

    def accumulate(self, i: int, j: int, weight: float) -> torch.Tensor:
        """Add the pair's gradient; return its loss, both times ``weight``."""
        # sums of E_s, E_t and E_t (t - s), by row and by column
        by_row = self.student.new_zeros(3, self.pixels)
        by_column = by_row if i == j else torch.zeros_like(by_row)
        for rows in self.tiles():
            exp_s, exp_t, gap = self.exponentials(i, j, rows)
            right = self.right_of(i, j, rows)
            skip = self.pixels - right.start
            for k, values in enumerate((exp_s, exp_t, gap)):
                by_row[k, rows] += values.sum(1)
                if skip:
                    by_column[k, right] += values[:, -skip:].sum(0)
        loss = _kl(by_row) if i == j else _kl(by_row) + _kl(by_column)
        if self.grad is not None:
            inverse = (weight / by_row[:2], weight / by_column[:2])
            for rows in self.tiles():
                self.add_gradient(self.grad, i, j, rows, *inverse)
        return loss * weight

    def columns(self, i: int, j: int, rows: slice) -> slice:
        """Columns of a tile: all, or those from the diagonal on."""
        return slice(rows.start if i == j else 0, self.pixels)

    def right_of(self, i: int, j: int, rows: slice) -> slice:
        """Columns of a tile that stand for their transposed rows, too."""
        return slice(rows.stop if i == j else 0, self.pixels)

    def views(self, i: int, j: int, rows: slice) -> list[torch.Tensor]:
        """Space for E_s, E_t and a spare tile."""
        columns = self.columns(i, j, rows)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        size = shape[0] * shape[1]
        begin = rows.start * self.pixels if self.keep else 0
        kept = self.space[:, begin : begin + size]
        return [*kept.view(2, *shape), self.spare[:size].view(shape)]

    def exponentials(
        self, i: int, j: int, rows: slice
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute E_s, E_t and E_t (t - s) of a tile."""
        columns = self.columns(i, j, rows)
        exp_s, exp_t, gap = self.views(i, j, rows)
        torch.mm(self.keys_s[i, rows], self.student[j, columns].T, out=exp_s)
        torch.mm(self.keys_t[i, rows], self.teacher[j, columns].T, out=exp_t)
        torch.sub(exp_t, exp_s, out=gap)
        exp_s.exp_()
        exp_t.exp_()
        gap *= exp_t
        return exp_s, exp_t, gap

    def add_gradient(
        self,
        grad: torch.Tensor,
        i: int,
        j: int,
        rows: slice,
        by_row: torch.Tensor,
        by_column: torch.Tensor,
    ) -> None:
        """Add to ``grad``, given weight / sum of E_s and of E_t."""
        columns = self.columns(i, j, rows)
        if self.keep:
            exp_s, exp_t, factor = self.views(i, j, rows)
        else:
            exp_s, exp_t, factor = self.exponentials(i, j, rows)
        for k, values in enumerate((exp_s, exp_t)):
            row, column = by_row[k, rows, None], by_column[k, columns]
            values *= torch.add(row, column, out=factor)
        exp_s -= exp_t
        grad[i, rows].addmm_(exp_s, self.keys_s[j, columns])
        right = self.right_of(i, j, rows)
        if right.start < right.stop:
            beyond = exp_s[:, right.start - columns.start :]
            grad[j, right].addmm_(beyond.T, self.keys_s[i, rows])


class _SharpPair(_Pair):
    """Each order of a pair by itself, with the row maximum subtracted."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.space = self.student.new_empty(3, self.rows, self.pixels)

    def accumulate(self, i: int, j: int, weight: float) -> torch.Tensor:
        """Add the pair's gradient; return its loss, both times ``weight``."""
        loss = self.one_order(i, j, weight)
        return loss if i == j else loss + self.one_order(j, i, weight)

    def one_order(self, i: int, j: int, weight: float) -> torch.Tensor:
        """Softmax over the pixels of image j, for every pixel of image i."""
        loss = self.student.new_zeros(())
        for rows in self.tiles():
            size = rows.stop - rows.start
            logits_s, logits_t, spare = self.space[:, :size]
            torch.mm(self.keys_s[i, rows], self.student[j].T, out=logits_s)
            torch.mm(self.keys_t[i, rows], self.teacher[j].T, out=logits_t)
            weights = self.student.new_full((size,), weight)
            kl, difference = row_kl_(
                logits_s, logits_t, spare, weights, self.scale
            )
            loss += kl
            if self.grad is not None:
                self.grad[i, rows].addmm_(difference, self.keys_s[j])
                self.grad[j].addmm_(difference.T, self.keys_s[i, rows])
        return loss


def _kl(sums: torch.Tensor) -> torch.Tensor:
    """Sum of the KL divergences, given sums of E_s, E_t, E_t (t - s)."""
    sum_s, sum_t, gap = sums
    return (gap / sum_t + (sum_s / sum_t).log()).sum()
