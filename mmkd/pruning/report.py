"""What pruning did, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmkd.pruning.pruner import SoftPruner
from mmkd.pruning.targets import Target


def counts_table(
    targets: Sequence[Target], counts: Sequence[tuple[int, int]]
) -> str:
    """Return lines ``layer, zero, of, share`` and their sum.

    Args:
        targets: the layers.
        counts: (zeros, all) of each, see `zero_counts`.
    """
    rows = [
        (target.name, *count)
        for target, count in zip(targets, counts, strict=True)
    ]
    rows.append(
        ('together', *(sum(part) for part in zip(*counts, strict=True)))
    )
    width = max(len(name) for name, *_ in rows)
    lines = [f'  {"layer":<{width}}  {"zero":>8} {"of":>8}   share']
    lines += [
        f'  {name:<{width}}  {zeros:8d} {size:8d}  {zeros / size:6.1%}'
        for name, zeros, size in rows
    ]
    return '\n'.join(lines)


def step_values(
    pruner: SoftPruner, t: int, T: int, counts: Sequence[tuple[int, int]]
) -> dict[str, float]:
    """Return the scalars of step t of T.

    Args:
        pruner: that was stepped.
        t: step, from 0.
        T: number of steps.
        counts: (zeros, all) of each target.
    """
    return dict(
        rate=max(pruner.rates(t, T).values()),
        alpha=pruner.schedule.alpha_at(t, T),
        hard_ratio=pruner.schedule.hard_ratio_at(t, T),
        zero_filters=sum(zeros for zeros, _ in counts),
    )


def step_line(
    values: Mapping[str, float],
    counts: Sequence[tuple[int, int]],
    granularity: str,
) -> str:
    """Return the scalars of `step_values` as one line."""
    texts = [
        f'{key} {values[key]:.4g}' for key in ('rate', 'alpha', 'hard_ratio')
    ]
    zeros, size = values['zero_filters'], sum(size for _, size in counts)
    return (
        f'{", ".join(texts)}, {zeros} of {size} {granularity}s are zero '
        f'({zeros / size:.1%})'
    )
