from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_short_quickstart_writes_everything(tmp_path: Path) -> None:
    pytest.importorskip('mmseg')
    done = subprocess.run(
        [
            sys.executable, str(ROOT / 'tools' / 'quickstart.py'),
            '--length', '0.01', '--work-dir', str(tmp_path),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'loads strictly in plain mmsegmentation' in done.stdout
    assert 'outputs are equal' in done.stdout
    report = json.loads((tmp_path / 'results.json').read_text())
    assert report['conclusion'] in done.stdout
    networks = report['networks']
    assert list(networks) == ['teacher', 'student', 'cirkd']
    for network in networks.values():
        assert 0 < network['miou'] < 100
        assert f'{network["miou"]:.2f} %' in done.stdout
        assert len(network['history']['task_loss']) > 0
    assert (
        networks['teacher']['parameters'] > (networks['student']['parameters'])
    )
    assert networks['cirkd']['parameters'] == networks['student']['parameters']
    for name in ('curves.png', 'predictions.png', 'cirkd/student.pth'):
        assert (tmp_path / name).stat().st_size > 10_000


def test_script_passes_options_on() -> None:
    """Set-up options stop at --; an unknown one stops the set-up."""
    done = subprocess.run(
        ['bash', str(ROOT / 'tools' / 'quickstart.sh'), '--no-such', '--'],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "unknown option '--no-such'" in done.stderr
