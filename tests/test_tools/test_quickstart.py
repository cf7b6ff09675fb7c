from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        'quickstart', ROOT / 'tools' / 'quickstart.py'
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['quickstart'] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def result(tool: ModuleType, miou: float) -> object:
    return tool.Result('a network', miou, 283_000, 44_000_000, 0.05, None)


@pytest.mark.parametrize(
    ('mious', 'message'),
    [
        ((50, 40, 45), '5.00 points better .* 50% of the gap'),
        ((50, 40, 39), r'NOT better than the student alone: -1\.00'),
        ((50, 40, 40), r'NOT better than the student alone: \+0\.00'),
        ((38, 40, 41), r'teacher is not better .*-2\.00.* \+1\.00'),
    ],
)
def test_verdict_says_what_happened(
    tool: ModuleType, mious: tuple[float, ...], message: str
) -> None:
    text = tool.verdict(*(result(tool, miou) for miou in mious))
    assert re.search(message, text)


def test_table_has_a_line_per_network(tool: ModuleType) -> None:
    lines = tool.format_table([result(tool, 12.345)] * 2).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    for text in ('12.3', '0.283 M', '44.0 M', '0.050'):
        assert text in lines[1]


def test_length_scales_every_part_of_the_schedule(
    tool: ModuleType, tmp_path: Path
) -> None:
    args = argparse.Namespace(work_dir=str(tmp_path), length=0.5, seed=3)
    config = tool.stage_config('student', args)
    assert config.train_cfg.max_iters == 300
    assert config.train_cfg.val_interval == 50
    assert config.param_scheduler[1].end == 300
    assert config.default_hooks.checkpoint.interval == 300
    assert config.randomness.seed == 3
    args.length = 0.0
    with pytest.raises(ValueError, match='--length 0.0'):
        tool.stage_config('student', args)


def test_stages_differ_only_where_they_should(
    tool: ModuleType, tmp_path: Path
) -> None:
    """The distilled student has the data and schedule of the plain one."""
    args = argparse.Namespace(work_dir=str(tmp_path), length=1.0, seed=0)
    plain = tool.stage_config('student', args).to_dict()
    distilled = tool.load_config(
        str(ROOT / 'configs' / 'quickstart' / 'cirkd.py')
    ).to_dict()
    student = distilled['model']['student']
    student.pop('_scope_', None)
    assert student == plain['model']
    for key in set(plain) - {'model', 'work_dir', 'custom_hooks'}:
        assert distilled[key] == plain[key], key


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
