"""What the discriminators of a cohort say of real and fake maps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmkd.results.curves import Curve, read_scalars, smoothed
from mmkd.visualization import plot_curves

_SCORE = re.compile(r'(peer\d+)\.score_(real|fake)')


def score_curves(
    lines: Iterable[Mapping[str, Any]], window: int = 1
) -> dict[str, dict[str, Curve]]:
    """Return the mean scores of every discriminator over the steps.

    Where a resumed run repeats a step, the later value counts.

    Args:
        lines: from `read_scalars`.
        window: how many values are averaged.

    Returns:
        Peer -> ``'real'`` (the maps of its source) and ``'fake'`` (its own)
        -> (steps, scores).

    Raises:
        KeyError: no line has scores.
    """
    found: dict[str, dict[str, dict[float, float]]] = {}
    for line in lines:
        for key, value in line.items():
            match = _SCORE.fullmatch(key)
            if match is not None and 'step' in line:
                kinds = found.setdefault(match[1], {})
                kinds.setdefault(match[2], {})[line['step']] = value
    if not found:
        raise KeyError(
            'no line of the log has scores (peer0.score_real, ...): give a '
            'run of mmkd.AdversarialFeatureExchange'
        )
    return {
        peer: {
            kind: (sorted(by_step), smoothed(_in_order(by_step), window))
            for kind, by_step in kinds.items()
        }
        for peer, kinds in sorted(found.items())
    }


def _in_order(by_step: Mapping[float, float]) -> list[float]:
    return [by_step[step] for step in sorted(by_step)]


def draw_scores(
    runs: Sequence[str], out: str | Path, window: int = 1
) -> list[str]:
    """Draw the scores of every discriminator; returns a line for each.

    Args:
        runs: work directories or logs, as PATH or NAME=PATH.
        out: PNG file to write.
        window: how many values are averaged.

    Raises:
        ValueError: two runs have one name.
    """
    panels: dict[str, Mapping[str, Curve]] = {}
    lines = []
    for run in runs:
        name, _, path = run.rpartition('=')
        title = name or Path(path).name
        for peer, curves in score_curves(read_scalars(path), window).items():
            panel = f'{title}: discriminator of {peer}'
            if panel in panels:
                raise ValueError(
                    f'two runs are called {title!r}: write NAME=PATH'
                )
            panels[panel] = curves
            last = ', '.join(
                f'{k} {v[-1]:.3f}' for k, (_, v) in curves.items()
            )
            lines.append(f'{title}, {peer}: {last}')
    plot_curves(panels, out, 'iteration', from_zero=False)
    return lines
