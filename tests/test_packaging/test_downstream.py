"""A project of its own under stock mmpretrain's and mmseg's train.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.test_packaging.test_distributions import (
    build_wheel,
    copy_source,
    install,
    make_environment,
)

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'downstream'


def test_the_project_imports_nothing_of_mmkd() -> None:
    """It names registered classes in its configs, and no module."""
    for path in EXAMPLE.rglob('*.py'):
        text = path.read_text(encoding='utf-8')
        assert not re.search(r'^\s*(from|import) mmkd', text, re.MULTILINE)
        names = re.findall(r"'mmkd\.([\w.]+)'", text)
        assert not any('.' in name for name in names), path


@pytest.mark.slow
@pytest.mark.parametrize(
    ('package', 'config'),
    [('mmpretrain', 'classification'), ('mmseg', 'segmentation')],
)
def test_stock_train_runs_it_from_a_wheel(
    package: str, config: str, tmp_path: Path
) -> None:
    spec = pytest.importorskip(package) and find_spec(package)
    tool = Path(spec.origin).parent / '.mim' / 'tools' / 'train.py'
    source = copy_source(tmp_path / 'source')
    python = make_environment(tmp_path / 'env')
    install(python, build_wheel(source, tmp_path / 'dist'))
    project = tmp_path / 'project'
    shutil.copytree(EXAMPLE, project)
    done = subprocess.run(
        [python, tool, f'configs/{config}.py'],
        cwd=project,
        env={**os.environ, 'PYTHONPATH': str(project), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    saved = project / 'work_dirs' / config / 'student.pth'
    state = torch.load(saved, weights_only=True)['state_dict']
    assert 'backbone.layers.0.weight' in state
    assert not any(key.startswith(('student.', 'teacher')) for key in state)
