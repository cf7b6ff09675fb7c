"""A wheel, a source distribution and an editable install carry `.mim`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mmkd
from tests.support import children
from tests.support.children import CHILDREN

ROOT = Path(__file__).parents[2]
PARTS = [
    'LICENSE',
    'MANIFEST.in',
    'configs',
    'mmkd',
    'model-index.yml',
    'pyproject.toml',
    'requirements',
    'setup.py',
    'tools',
]
METHOD_CONFIGS = sorted(
    path.relative_to(ROOT / 'configs').as_posix()
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)
PROBE = """
import sys
from mmengine.config import Config
import mmkd
report = [mmkd.__file__]
for name in sys.argv[1:]:
    with open('child.py', 'w') as file:
        file.write(f"_base_ = 'mmkd::{name}'\\n")
    config = Config.fromfile('child.py')
    report.append(f"{name} {'model' in config or 'stages' in config}")
with open('report.txt', 'w') as file:  # mmengine may log to the output
    file.write('\\n'.join(report))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _installed_packages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('PYTHONPATH', raising=False)


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_source(target: Path) -> Path:
    target.mkdir()
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns('__pycache__', '.mim')
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy2(source, target)
    return target


def build_wheel(source: Path, folder: Path) -> Path:
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps']
    run([*pip, '--no-build-isolation', '-w', folder, source], source)
    return next(folder.glob('mmkd-*.whl'))


def make_environment(folder: Path) -> Path:
    """An environment with the packages of this one, but without mmkd."""
    run([sys.executable, '-m', 'venv', '--without-pip', folder], folder.parent)
    own = next(folder.glob('lib/python*/site-packages'))
    shared = [path for path in sys.path if path.endswith('-packages')]
    (own / 'shared.pth').write_text('\n'.join(shared) + '\n')
    return folder / 'bin' / 'python'


def install(python: Path, *what: str | Path) -> None:
    pip = [sys.executable, '-m', 'pip', '--python', python, 'install', '-q']
    run([*pip, '--no-deps', '--no-build-isolation', *what], python.parent)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    return build_wheel(copy_source(folder / 'source'), folder / 'dist')


def test_wheel_holds_configs_tools_and_index(wheel: Path) -> None:
    assert wheel.name.startswith(f'mmkd-{mmkd.__version__}-')
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {'mmkd/.mim/model-index.yml'}
    for pattern in ('configs/**/*.py', 'configs/**/*.yml', 'tools/**/*.py'):
        expected |= {
            f'mmkd/.mim/{path.relative_to(ROOT).as_posix()}'
            for path in ROOT.glob(pattern)
        }
    assert len(expected) > 5
    assert expected <= names
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'mmkd').rglob('*.py')
        if '.mim' not in path.parts
    }
    assert modules <= names


def test_the_extra_all_leaves_mmcv_to_the_user(wheel: Path) -> None:
    (name,) = (
        name
        for name in zipfile.ZipFile(wheel).namelist()
        if name.endswith('/METADATA')
    )
    lines = zipfile.ZipFile(wheel).read(name).decode().splitlines()
    in_all = [line for line in lines if line.endswith('extra == "all"')]
    assert any(line.startswith('Requires-Dist: mmdet') for line in in_all)
    assert not any('mmcv' in line for line in in_all)


def test_installed_wheel_serves_config_bases(
    wheel: Path, tmp_path: Path
) -> None:
    python = make_environment(tmp_path / 'env')
    install(python, wheel)
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert METHOD_CONFIGS
    run([python, '-c', PROBE, *METHOD_CONFIGS], empty)
    lines = (empty / 'report.txt').read_text().splitlines()
    assert lines[0].startswith(str(tmp_path / 'env'))
    assert lines[1:] == [f'{name} True' for name in METHOD_CONFIGS]


def test_children_of_the_wheel_are_built(wheel: Path, tmp_path: Path) -> None:
    """One of every folder: model, data, hooks, loops, visualizer."""
    folders = {Path(name).parts[0] for name in METHOD_CONFIGS}
    assert set(CHILDREN) == folders - {'stages'}  # these are lists of others
    python = make_environment(tmp_path / 'env')
    install(python, wheel)
    (tmp_path / 'empty').mkdir()
    names = list(CHILDREN.values())
    run(
        [python, '-W', 'ignore', children.__file__, *names], tmp_path / 'empty'
    )
    report = (tmp_path / 'empty' / 'report.txt').read_text().splitlines()
    assert [line.split()[0] for line in report] == names
    assert 'EncoderDecoder SegLocalVisualizer CamVidDataset' in report[0]


def test_source_distribution_builds_the_same_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    source = copy_source(tmp_path / 'source')
    run([sys.executable, 'setup.py', '-q', 'sdist'], source)
    archive = next((source / 'dist').glob('mmkd-*.tar.gz'))
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter='data')
    unpacked = tmp_path / archive.name.removesuffix('.tar.gz')
    rebuilt = build_wheel(unpacked, tmp_path / 'dist')
    assert sorted(zipfile.ZipFile(rebuilt).namelist()) == sorted(
        zipfile.ZipFile(wheel).namelist()
    )


def test_editable_install_links_mim(tmp_path: Path) -> None:
    source = copy_source(tmp_path / 'source')
    python = make_environment(tmp_path / 'env')
    install(python, '-e', source)
    for name in ('configs', 'tools', 'model-index.yml'):
        link = source / 'mmkd' / '.mim' / name
        assert link.is_symlink()
        assert link.resolve() == source / name
    probe = 'import mmkd; print(mmkd.__file__)'
    found = run([python, '-c', probe], tmp_path).strip()
    assert found == str(source / 'mmkd' / '__init__.py')


def test_building_in_a_checkout_leaves_links(tmp_path: Path) -> None:
    source = copy_source(tmp_path / 'source')
    (source / '.git').mkdir()
    build_wheel(source, tmp_path / 'dist')
    assert (source / 'mmkd' / '.mim' / 'configs').is_symlink()


def test_mim_finds_trains_tests_and_runs_tools(
    wheel: Path, tmp_path: Path
) -> None:
    mim = pytest.importorskip('mim')  # pip install openmim
    pytest.importorskip('mmpretrain')
    python = make_environment(tmp_path / 'env')
    install(python, wheel)
    own = next((tmp_path / 'env').glob('lib/python*/site-packages'))
    (own / 'mim.pth').write_text(f'{Path(mim.__file__).parents[1]}\n')
    runs = tmp_path / 'runs'  # a folder without mmkd
    runs.mkdir()

    def call(*arguments: str) -> str:
        command = [python, '-W', 'ignore', '-m', 'mim', *arguments]
        return run(command, runs)

    found = call('search', 'mmkd', '--config', 'toy_mcl_x2')
    assert 'configs/mcl/toy_mcl_x2.py' in found
    small = '{}_dataloader.dataset.num_samples={}'.format
    call(
        *('train', 'mmkd', 'toy_mcl_x2.py', '--gpus', '0'),
        *('--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1'),
        *(small('train', 28), small('val', 4)),
    )
    printed = call(
        *('test', 'mmkd', 'toy_mcl_x2.py', '--gpus', '0'),
        *('--checkpoint', 'run/epoch_1.pth'),
        *('--cfg-options', small('test', 4)),
    )
    assert 'accuracy/top1' in printed
    call(
        *('run', 'mmkd', 'export_student', 'mmkd::mcl/toy_mcl_x2.py'),
        *('run/epoch_1.pth', '--out', 'student.pth'),
    )
    assert (runs / 'student.pth').is_file()
