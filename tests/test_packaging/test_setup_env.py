"""tools/setup_env.sh names each foreseeable obstacle and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools' / 'setup_env.sh'


class Machine:
    """Runs the script with stand-ins for programs of the machine."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / 'programs'
        self.programs.mkdir()
        self.venv = folder / 'venv'
        self.environment = {
            **os.environ,
            'PATH': f'{self.programs}:{os.environ["PATH"]}',
            'MMKD_WHEELS': str(folder / 'wheels'),
            'MMKD_VENV': str(self.venv),
        }
        self.environment.pop('MMKD_TORCH', None)

    def replace(self, program: str, script: str) -> Path:
        path = self.programs / program
        path.write_text(f'#!/bin/bash\n{script}\n')
        path.chmod(0o755)
        return path

    def set_up(self, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            ['bash', str(SCRIPT), *options],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    # never let a test that gets past the checks install anything
    machine.replace('flock', 'exit 1')
    machine.replace('python3.11', f'exec {sys.executable} "$@"')
    return machine


def test_help_needs_nothing(machine: Machine) -> None:
    status, text = machine.set_up('--help')
    assert status == 0
    assert '--use-existing-torch' in text
    assert 'set -euo' not in text


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--fast'], "unknown option '--fast'"),
        (['--torch'], '--torch needs a value'),
        (['--torch', '1.13.1'], 'torch 1.13.1 is not supported; use one of'),
        (['--python', 'python7'], '--python python7: no such program'),
        (['--check'], 'there is no environment in'),
    ],
)
def test_wrong_options(
    machine: Machine, options: list[str], message: str
) -> None:
    status, text = machine.set_up(*options)
    assert status == 1
    assert message in text
    assert not machine.venv.exists()


@pytest.mark.parametrize('version', ['3.9.18', '3.14.0'])
def test_wrong_python(machine: Machine, version: str) -> None:
    other = machine.replace(
        'python-other',
        f'[ "$1" = --version ] && echo "Python {version}" && exit 0; exit 1',
    )
    status, text = machine.set_up('--python', str(other))
    assert status == 1
    assert f'is Python {version}; mmkd needs Python 3.10, 3.11, 3.12' in text


@pytest.mark.parametrize(
    ('minor', 'torch', 'message'),
    [
        (13, '2.4.1', 'torch 2.4.1 is not made for Python 3.13'),
        (10, '2.15.0', 'torch 2.15.0 is not made for Python 3.10'),
    ],
)
def test_torch_that_is_not_made_for_the_python(
    machine: Machine, minor: int, torch: str, message: str
) -> None:
    machine.replace(
        'python3.11',
        f'case "$*" in *version_info\\[1\\]*) echo {minor}; exit;; esac\n'
        f'exec {sys.executable} "$@"',
    )
    status, text = machine.set_up('--torch', torch)
    assert status == 1
    assert message in text
    assert not machine.venv.exists()


def test_no_python(machine: Machine) -> None:
    for version in ('3', '3.10', '3.11', '3.12', '3.13'):
        machine.replace(f'python{version}', 'exit 1')
    machine.replace('python', 'exit 1')
    status, text = machine.set_up()
    assert status == 1
    assert 'no Python 3.10, 3.11, 3.12 or 3.13 found on PATH' in text


def test_no_compiler(machine: Machine) -> None:
    machine.environment['CXX'] = 'no-such-compiler'
    status, text = machine.set_up('--compiled-ops')
    assert status == 1
    assert 'no C++ compiler (no-such-compiler)' in text
    assert 'apt install build-essential' in text
    assert 'leave --compiled-ops out' in text


def test_default_needs_no_compiler(machine: Machine) -> None:
    machine.environment['CXX'] = 'no-such-compiler'
    status, text = machine.set_up()
    assert status == 1
    assert 'another set-up of' in text  # where the fixture stops it


def test_foreign_mmcv(machine: Machine) -> None:
    packages = machine.venv / 'lib' / 'python3.11' / 'site-packages'
    (packages / 'mmcv-2.2.0.dist-info').mkdir(parents=True)
    (machine.venv / 'pyvenv.cfg').touch()
    status, text = machine.set_up()
    assert status == 1
    assert 'holds mmcv 2.2.0, which mmsegmentation 1.2' in text
    assert 'pip uninstall -y mmcv' in text


def test_old_compiler(machine: Machine) -> None:
    machine.environment['CXX'] = 'g++-4'
    machine.replace(
        'g++-4', '[ "$1" = --version ] && echo "g++ 4.8.5" && exit 0; exit 1'
    )
    status, text = machine.set_up('--compiled-ops')
    assert status == 1
    assert 'g++-4 cannot compile C++17 (g++ 4.8.5)' in text


def test_full_disk(machine: Machine) -> None:
    machine.replace('df', 'echo Header; echo "disk 9 9 3145728 9% /"')
    status, text = machine.set_up()
    assert status == 1
    assert 'has 3 GiB free, 12 GiB are needed' in text


def test_no_venv_module(machine: Machine) -> None:
    machine.replace(
        'python3.11',
        f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
    )
    status, text = machine.set_up()
    assert status == 1
    assert 'apt install python3-venv' in text


def test_existing_torch_is_missing(machine: Machine) -> None:
    bare = machine.replace('bare', f'exec {sys.executable} -S "$@"')
    status, text = machine.set_up(
        '--use-existing-torch', '--python', str(bare)
    )
    assert status == 1
    assert 'cannot import torch and torchvision' in text
    assert "No module named 'torch'" in text


def test_folder_that_is_no_environment(machine: Machine) -> None:
    machine.venv.mkdir()
    (machine.venv / 'thesis.tex').touch()
    status, text = machine.set_up()
    assert status == 1
    assert 'exists and is not a virtual environment' in text
    assert [path.name for path in machine.venv.iterdir()] == ['thesis.tex']


def test_two_set_ups_at_once(machine: Machine) -> None:
    status, text = machine.set_up()
    assert status == 1
    assert 'another set-up of' in text


@pytest.mark.parametrize(
    ('output', 'explanation'),
    [
        ('OSError: No space left on device', 'the disk is full'),
        ('Temporary failure in name resolution', 'cannot be reached'),
        ('ERROR: No matching distribution', 'does not offer this version'),
        ('ERROR: ResolutionImpossible', 'was not reached, or does not'),
        ('cc1plus: Killed signal terminated', 'Set MAX_JOBS=1'),
        ('something else', 'see the output above'),
    ],
)
def test_step_that_fails_is_explained(
    machine: Machine, output: str, explanation: str
) -> None:
    machine.replace('flock', 'exit 0')
    machine.replace('df', 'echo Header; echo "disk 9 9 99999999 9% /"')
    machine.replace(
        'python3.11',
        f'case "$*" in "-m venv"*) echo "{output}"; exit 3;; esac\n'
        f'exec {sys.executable} "$@"',
    )
    status, text = machine.set_up()
    assert status == 1
    assert '[1/7]' in text
    assert '[2/7]' not in text
    assert f'| {output}' in text
    assert explanation in text.partition('set-up stopped')[2]
    assert output in (machine.venv / 'setup.log').read_text()


def test_half_finished_environment_is_cleared(machine: Machine) -> None:
    machine.replace('flock', 'exit 0')
    machine.replace('df', 'echo Header; echo "disk 9 9 99999999 9% /"')
    machine.replace(
        'python3.11',
        f'[ "$1 $2" = "-m venv" ] && exit 3; exec {sys.executable} "$@"',
    )
    machine.venv.mkdir()
    for name in ('pyvenv.cfg', 'half-written', 'setup.unfinished'):
        (machine.venv / name).touch()
    status, text = machine.set_up()
    assert status == 1
    assert 'the last set-up stopped half-way' in text
    left = {path.name for path in machine.venv.iterdir()}
    assert left == {'setup.lock', 'setup.log'}
