"""Run a script as one process and as two, side by side."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import torch


def one_and_two_processes(
    script: str, folder: Path, *arguments: str | Path, timeout: float = 300
) -> dict[str, Any]:
    """Return what every rank saved, by ``<processes>_<rank>``.

    The script is called with folder, rank, number of processes and
    ``arguments``, and saves ``out_<processes>_<rank>.pth`` in ``folder``.
    """
    path = folder / 'run.py'
    path.write_text(textwrap.dedent(script))
    for world in (1, 2):
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, str(path), str(folder)),
                    *(str(rank), str(world), *map(str, arguments)),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(world)
        ]
        for process in processes:
            output, _ = process.communicate(timeout=timeout)
            assert process.returncode == 0, output[-3000:]
    return {
        name: torch.load(folder / f'out_{name}.pth', weights_only=True)
        for name in ('1_0', '2_0', '2_1')
    }
