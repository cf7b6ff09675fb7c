"""What a step of the set-up leaves behind when pip fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

STEPS = Path(__file__).parents[2] / 'tools' / 'setup' / 'steps.sh'
PIP = """#!/bin/bash
while [ $# -gt 0 ]; do [ "$1" = --log ] && log=$2; shift; done
echo '{text}' >"$log"
exit {status}
"""


@pytest.mark.parametrize(
    ('text', 'status', 'marked'),
    [
        ('Could not fetch URL', 1, False),
        ('Installing collected packages: torch', 1, True),
        ('Installing collected packages: torch', 0, False),
    ],
)
def test_only_a_broken_installation_is_marked(
    tmp_path: Path, text: str, status: int, marked: bool
) -> None:
    """After a failed download the environment is kept: it is as before."""
    python = tmp_path / 'python'
    python.write_text(PIP.format(text=text, status=status))
    python.chmod(0o755)
    unfinished = tmp_path / 'setup.unfinished'
    script = (
        f'set -e; python={python} venv={tmp_path} unfinished={unfinished} '
        f'requirements={tmp_path}; . {STEPS}; pip_install torch'
    )
    done = subprocess.run(['bash', '-c', script], capture_output=True)
    assert done.returncode == status
    assert unfinished.exists() == marked
