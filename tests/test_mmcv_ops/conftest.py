"""mmcv.ops with the operators of this repository."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import mmcv.ops
import pytest

SOURCE = Path(__file__).parents[2] / 'mmcv_ops'


def load_stand_in() -> ModuleType:
    """``mmcv/_ext.py`` of this repository, whatever is installed."""
    for name in [name for name in sys.modules if name in _OWN]:
        del sys.modules[name]
    sys.path.insert(0, str(SOURCE))
    try:
        path = SOURCE / 'mmcv' / '_ext.py'
        spec = importlib.util.spec_from_file_location('stand_in_ext', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SOURCE))
    return module


_OWN = {'mmkd_mmcv_ops'} | {
    f'mmkd_mmcv_ops.{path.stem}'
    for path in (SOURCE / 'mmkd_mmcv_ops').glob('*.py')
}
STAND_IN = load_stand_in()


def modules_with_operators() -> list[ModuleType]:
    prefix = mmcv.ops.__name__ + '.'
    return [
        module
        for name, module in sys.modules.items()
        if name.startswith(prefix) and hasattr(module, 'ext_module')
    ]


@pytest.fixture
def swap_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], AbstractContextManager[None]]:
    """Within ``with swap_operators():`` ours are called."""

    @contextmanager
    def swap() -> Iterator[None]:
        with monkeypatch.context() as patch:
            for module in modules_with_operators():
                patch.setattr(module, 'ext_module', STAND_IN)
            yield

    return swap


@pytest.fixture
def stand_in(
    swap_operators: Callable[[], AbstractContextManager[None]],
) -> Iterator[ModuleType]:
    """``mmcv.ops`` calls the operators of this repository."""
    with swap_operators():
        yield STAND_IN


@pytest.fixture(params=['installed', 'stand-in'])
def operators(request: pytest.FixtureRequest) -> str:
    """Run a test with what is installed and with this repository's."""
    if request.param == 'stand-in':
        request.getfixturevalue('stand_in')
    return request.param
