"""mmpretrain beside a transformers that it does not know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmpretrain')


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(folder), *filter(None, [os.environ.get('PYTHONPATH')])]
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(paths)},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )


@pytest.fixture
def new_transformers(tmp_path: Path) -> Path:
    """A folder with a transformers that lacks what mmpretrain asks for."""
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers' / '__init__.py').write_text(
        "__version__ = '5.0.0'\n"
    )
    info = tmp_path / 'transformers-5.0.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: transformers\nVersion: 5.0.0\n'
    )
    coco = tmp_path / 'pycocotools-2.0.10.dist-info'
    coco.mkdir()
    (coco / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: pycocotools\nVersion: 2.0.10\n'
    )
    return tmp_path


def test_mmpretrain_is_imported(new_transformers: Path) -> None:
    code = 'import mmpretrain.models'
    alone = run(code, new_transformers)
    assert alone.returncode != 0  # of the real one: TypeError in BLIP
    beside = run(
        'import mmkd\n'
        f'{code}\n'
        'from mmpretrain.registry import MODELS\n'
        "MODELS.build(dict(type='BlipCaption'))",
        new_transformers,
    )
    assert 'requires extra multi-modal' in beside.stderr


def test_a_transformers_that_it_knows_is_left_alone(
    new_transformers: Path,
) -> None:
    metadata = new_transformers / 'transformers-5.0.0.dist-info' / 'METADATA'
    metadata.write_text(metadata.read_text().replace('5.0.0', '4.50.0'))
    done = run(
        'import mmkd, mmpretrain.utils.dependency as found\n'
        'print(found.WITH_MULTIMODAL)',
        new_transformers,
    )
    assert done.stdout.strip() == 'True'
