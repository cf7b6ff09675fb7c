"""register_all_modules."""

from __future__ import annotations

import subprocess
import sys

import pytest
from mmengine.registry import DefaultScope

from mmkd.registry import HOOKS, MODELS
from mmkd.utils import register_all_modules


@pytest.fixture(autouse=True)
def _no_scope():
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def test_registers_and_sets_the_scope_if_none_is_set():
    register_all_modules()
    assert DefaultScope.get_current_instance().scope_name == 'mmkd'
    assert 'OfflineDistiller' in MODELS.module_dict
    assert 'ExportStudentHook' in HOOKS.module_dict


def test_leaves_a_scope_that_is_set():
    DefaultScope.get_instance('task', scope_name='mmseg')
    register_all_modules(init_default_scope=True)
    assert DefaultScope.get_current_instance().scope_name == 'mmseg'


def test_sets_no_scope_unless_asked():
    register_all_modules(init_default_scope=False)
    assert DefaultScope.get_current_instance() is None


def test_imports_no_task_repository():
    code = (
        'import sys; from mmkd.utils import register_all_modules;'
        'register_all_modules();'
        "tasks = {'mmseg', 'mmdet', 'mmpose', 'mmpretrain'};"
        'found = tasks & set(sys.modules);'
        'sys.exit(repr(found) if found else 0)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
