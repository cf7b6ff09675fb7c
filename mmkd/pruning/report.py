"""What pruning did, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mmkd.pruning.pruner import SoftPruner
from mmkd.pruning.targets import Target


class PruningReport:
    """Tells of the steps of a pruner.

    Args:
        pruner: that is stepped.
    """

    def __init__(self, pruner: SoftPruner) -> None:
        self.pruner = pruner
        self.selection = pruner.selection
        self._shown: list[tuple[int, int]] = []

    def remarks(self) -> list[str]:
        """Return what to know before the training; often nothing."""
        found = []
        left_out = self.selection.left_out
        if left_out:
            found.append(
                'coupled=True leaves out channels of '
                + '; '.join(f'{key} ({why})' for key, why in left_out.items())
            )
        if not any(self.selection.planned_zeros().values()):
            units = f'{self.selection.granularity}s'
            most = max(size for _, size in self.selection.zero_counts())
            rate = self.pruner.settings.choice.pruning_rate
            found.append(
                f'pruning_rate={rate} prunes nothing, as no layer has more '
                f'than {most} {units}; raise it'
            )
        return found

    def step(self, t: int, T: int) -> tuple[dict[str, float], str]:
        """Return the scalars of step t of T, which is done, and a text.

        The text has the table of layers if that changed since last time.
        """
        counts = self.selection.zero_counts()
        zeros, size = (sum(part) for part in zip(*counts, strict=True))
        schedule = self.pruner.schedule
        values = dict(
            rate=max(self.pruner.rates(t, T).values()),
            alpha=schedule.alpha_at(t, T),
            hard_ratio=schedule.hard_ratio_at(t, T),
        )
        numbers = ', '.join(f'{key} {v:.4g}' for key, v in values.items())
        text = (
            f'Pruning, step {t + 1} of {T}: {numbers}, {zeros} of {size} '
            f'{self.selection.granularity}s are zero ({zeros / size:.1%})'
        )
        if counts != self._shown:
            text += '\n' + counts_table(self.selection.targets, counts)
        self._shown = counts
        return dict(**values, zero_filters=zeros), text

    def end(self) -> str:
        """Return the table of layers, if it changed since last time."""
        counts = self.selection.zero_counts()
        if counts == self._shown:
            return 'Pruning, at the end: the zeros of the last table'
        return 'Pruning, at the end\n' + counts_table(
            self.selection.targets, counts
        )


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
