"""Look-ups of ``mmkd.`` names from every scope."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmkd import registry
from mmkd.registry import DATASETS, MODELS, TASK_MODULES, import_task_module

REPOSITORIES = ('mmseg', 'mmpretrain', 'mmpose', 'mmdet')
REGISTRIES = [
    value
    for value in vars(registry).values()
    if isinstance(value, registry.TaskRegistry)
]


def run_python(code: str) -> str:
    """Run ``code`` in a new interpreter; return what it prints."""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


@pytest.mark.parametrize('scope', REPOSITORIES)
def test_prefixed_types_resolve_from_every_scope(scope: str) -> None:
    with DefaultScope.overwrite_default_scope(scope):
        loss = ROOT_MODELS.build(dict(type='mmkd.KLDivLoss', temperature=2.0))
        hook = ROOT_HOOKS.build(dict(type='mmkd.StepSeedHook'))
        loop = ROOT_LOOPS.get('mmkd.ResumableIterBasedTrainLoop')
    assert loss.temperature == 2.0
    assert type(hook).__name__ == 'StepSeedHook'
    assert loop.__module__.startswith('mmkd.engine')


@pytest.mark.parametrize(
    'scope',
    [
        'mmseg',
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ('mmpretrain', 'mmpose', 'mmdet', None)
        ),
    ],
)
def test_no_custom_imports_needed(scope: str | None) -> None:
    """A fresh process that never imports mmkd itself."""
    start = f'init_default_scope({scope!r})' if scope else ''
    printed = run_python(f"""
        from mmengine.registry import MODELS, init_default_scope
        {start}
        loss = MODELS.build(dict(type='mmkd.KLDivLoss'))
        print(type(loss).__module__)
    """)
    assert printed.splitlines()[-1] == 'mmkd.models.losses.kl_div_loss'


def test_import_is_light() -> None:
    printed = run_python(f"""
        import sys
        import mmkd, mmkd.models, mmkd.datasets, mmkd.engine, mmkd.toys
        heavy = {REPOSITORIES!r}
        print([name for name in heavy if name in sys.modules])
    """)
    assert printed == '[]'


@pytest.mark.parametrize('name', sorted(TASK_MODULES))
def test_task_classes_exist(name: str) -> None:
    """Every row of the table leads to a registered class of that name."""
    module, repository = TASK_MODULES[name]
    assert find_spec(repository) is not None
    import_task_module(name)
    homes = [r for r in REGISTRIES if name in r.module_dict]
    assert len(homes) == 1
    cls = homes[0].get(f'mmkd.{name}')
    assert cls.__name__ == name
    assert cls.__module__ == module


def test_missing_repository_is_named() -> None:
    """One process in which no task repository can be imported."""
    names = {repo: name for name, (_, repo) in TASK_MODULES.items()}
    assert set(names) == set(REPOSITORIES)
    printed = run_python(f"""
        import sys

        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name.split('.')[0] in {REPOSITORIES!r}:
                    raise ModuleNotFoundError(
                        f'No module named {{name!r}}', name=name)

        sys.meta_path.insert(0, Hide())
        from mmengine.registry import MODELS
        for name in {list(names.values())!r}:
            try:
                MODELS.build(dict(type='mmkd.' + name))
            except ImportError as error:
                print(type(error).__name__, error)
    """)
    lines = [li for li in printed.splitlines() if li.startswith('ImportError')]
    assert len(lines) == len(REPOSITORIES)
    for line, (repository, name) in zip(lines, names.items(), strict=True):
        assert f'type="mmkd.{name}" needs the package {repository}' in line
        assert 'pip install' in line


def test_missing_part_of_a_repository_is_not_disguised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another missing module is reported as it is."""
    monkeypatch.setitem(
        registry.TASK_MODULES, 'Broken', ('mmkd.no_such_module', 'mmseg')
    )
    with pytest.raises(ModuleNotFoundError, match='mmkd.no_such_module'):
        import_task_module('Broken')


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])
def test_unknown_name_lists_the_nearest(scope: str) -> None:
    with (
        DefaultScope.overwrite_default_scope(scope),
        pytest.raises(KeyError, match='mmkd.KLDivLos".*nearest: KLDivLoss'),
    ):
        ROOT_MODELS.build(dict(type='mmkd.KLDivLos'))


def test_unknown_data_set_lists_the_nearest() -> None:
    with pytest.raises(KeyError, match='nearest: CamVidDataset'):
        ROOT_DATASETS.build(dict(type='mmkd.CamvidDataset'))


def test_contains_does_not_raise() -> None:
    assert 'KLDivLoss' in MODELS
    assert 'NoSuchLoss' not in MODELS
    assert 'CamVidDataset' in DATASETS


def test_parents_do_not_see_unprefixed_names() -> None:
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        pytest.raises(KeyError),
    ):
        ROOT_MODELS.build(dict(type='KLDivLoss'))


def test_configs_of_mmkd_are_bases() -> None:
    from mmengine.config.utils import MODULE2PACKAGE

    assert MODULE2PACKAGE['mmkd'] == 'mmkd'
