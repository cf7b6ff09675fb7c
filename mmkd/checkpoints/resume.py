"""Which file of a run ``--resume`` continues from."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from mmkd.checkpoints.read import read_file

MARKER = 'last_checkpoint'


def newest_whole(
    folder: str | Path, template: str, marker: str | Path
) -> Path | None:
    """Return the newest checkpoint of a run that can be read.

    What is skipped is logged, a line for each file.

    Args:
        folder: of the checkpoints.
        template: their names, ``{}`` for the step, e.g. ``iter_{}.pth``.
        marker: mmengine's file ``last_checkpoint``. It tells the files of
            this run from those of an earlier one in the same folder.

    Returns:
        None if there are no checkpoints yet.

    Raises:
        ValueError: there are, and none can be read.
    """
    found = of_this_run(Path(folder), template, Path(marker))
    reasons = []
    for path in found:
        try:
            read_file(path)
        except ValueError as error:
            reasons.append(str(error))
            print_log(
                f'--resume skips {error}',
                logger='current',
                level=logging.WARNING,
            )
        else:
            return path
    if not reasons:
        return None
    raise ValueError(
        f'--resume: none of the {len(reasons)} checkpoints in "{folder}" is '
        f'whole ({"; ".join(reasons)}); start anew in another --work-dir, or '
        'remove them'
    )


def of_this_run(folder: Path, template: str, marker: Path) -> list[Path]:
    """Return the files that ``template`` names, newest step first.

    Later steps than the marked one count only if they are as new as the
    mark: a kill came between the two.
    """
    before, _, after = template.partition('{}')
    name = re.compile(f'{re.escape(before)}([0-9]+){re.escape(after)}')
    steps = {}
    for path in folder.glob('*') if folder.is_dir() else ():
        fits = name.fullmatch(path.name)
        if fits and path.is_file():
            steps[path] = int(fits[1])
    last = _marked_step(marker, name)
    if last is not None:
        written = marker.stat().st_mtime_ns
        steps = {
            path: step
            for path, step in steps.items()
            if step <= last or path.stat().st_mtime_ns >= written
        }
    return sorted(steps, key=lambda path: -steps[path])


def _marked_step(marker: Path, name: re.Pattern[str]) -> int | None:
    if not marker.is_file():
        return None
    text = marker.read_text(encoding='utf-8', errors='replace').strip()
    fits = name.fullmatch(Path(text).name)
    return int(fits[1]) if fits else None
