"""The stand-in is one module in mmcv's folder, and never beside a compiled."""

from __future__ import annotations

import importlib.machinery
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / 'mmcv_ops'


def copy_source(target: Path) -> Path:
    ignored = shutil.ignore_patterns('build', '*.egg-info', '__pycache__')
    return Path(shutil.copytree(SOURCE, target, ignore=ignored))


def bare_environment(folder: Path) -> Path:
    """A Python with pip and setuptools of this one, and no mmcv."""
    command = [sys.executable, '-m', 'venv', '--without-pip', str(folder)]
    subprocess.run(command, check=True)
    own = next(folder.glob('lib/python*/site-packages'))
    shared = Path(sysconfig.get_path('purelib'))
    backend = ('setuptools', '_distutils_hack', 'pkg_resources', 'wheel')
    for pattern in ('pip', *backend):
        for path in shared.glob(pattern):
            (own / path.name).symlink_to(path)
    for path in shared.glob('*.dist-info'):
        if path.name.startswith(('pip-', 'setuptools-', 'wheel-')):
            (own / path.name).symlink_to(path)
    return own


def pip(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = str(folder / 'bin' / 'python')
    return subprocess.run(
        [python, '-m', 'pip', '--no-cache-dir', *arguments],
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_installs_one_module_beside_mmcv_and_goes_without_a_trace(
    tmp_path: Path,
) -> None:
    packages = bare_environment(tmp_path / 'env')
    (packages / 'mmcv').mkdir()
    (packages / 'mmcv' / '__init__.py').touch()
    source = copy_source(tmp_path / 'source')
    flags = ('--no-deps', '--no-build-isolation')
    done = pip(tmp_path / 'env', 'install', *flags, str(source))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (packages / 'mmcv').glob('*.py')}
    assert names == {'__init__.py', '_ext.py'}
    assert (packages / 'mmkd_mmcv_ops' / '__init__.py').is_file()

    done = pip(tmp_path / 'env', 'uninstall', '-y', 'mmkd-mmcv-ops')
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (packages / 'mmcv').glob('*.py')] == [
        '__init__.py'
    ]
    assert not (packages / 'mmkd_mmcv_ops').exists()


@pytest.mark.slow
def test_refuses_a_compiled_mmcv(tmp_path: Path) -> None:
    packages = bare_environment(tmp_path / 'env')
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    compiled = packages / 'mmcv' / f'_ext{suffix}'
    compiled.parent.mkdir()
    compiled.touch()
    source = copy_source(tmp_path / 'source')
    flags = ('--no-deps', '--no-build-isolation')
    done = pip(tmp_path / 'env', 'install', *flags, str(source))
    assert done.returncode != 0
    assert 'a compiled mmcv is here' in done.stdout + done.stderr
    assert not (compiled.parent / '_ext.py').exists()


def test_a_compiled_module_wins_over_the_stand_in(tmp_path: Path) -> None:
    """Should both lie there after all, Python takes the compiled one."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    for name in ('_ext.py', f'_ext{suffix}'):
        (tmp_path / name).touch()
    finder = importlib.machinery.PathFinder
    spec = finder.find_spec('_ext', [str(tmp_path)])
    assert spec is not None
    assert spec.origin == str(tmp_path / f'_ext{suffix}')


@pytest.mark.slow
def test_xtcocotools_without_a_compiler(tmp_path: Path) -> None:
    """Its masks are exchanged for those of pycocotools."""
    package = tmp_path / 'xtcocotools-9.9' / 'xtcocotools'
    package.mkdir(parents=True)
    (package / '_mask.pyx').write_text('cdef int x')
    (package / '__init__.py').touch()
    (package.parent / 'setup.py').write_text('raise SystemExit("compiles")')
    archive = shutil.make_archive(
        str(tmp_path / 'source'), 'gztar', tmp_path, 'xtcocotools-9.9'
    )
    script = SOURCE.parent / 'tools' / 'setup' / 'pure_xtcocotools.py'
    subprocess.run(
        [sys.executable, str(script), archive, str(tmp_path)], check=True
    )
    (wheel,) = tmp_path.glob('xtcocotools-9.9+pycocotools-py3-none-any.whl')
    names = zipfile.ZipFile(wheel).namelist()
    assert 'xtcocotools/_mask.py' in names
    assert 'xtcocotools/_mask.pyx' not in names
