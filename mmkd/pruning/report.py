"""Zero filters of every layer as a table."""

from __future__ import annotations

from collections.abc import Sequence

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
