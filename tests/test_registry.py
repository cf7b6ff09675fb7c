"""Look-ups of ``mmkd.`` names from every scope."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import DefaultScope, Registry
from mmengine.registry import root as mmengine_registries

from mmkd import registry
from mmkd.registry import DATASETS, MODELS, TASK_MODULES, import_task_module
from tests.support.children import CHILDREN, build, stamped

ROOT = Path(__file__).parents[1]
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


# -- the scope that mmengine stamps on what is inherited from mmkd ----------


@pytest.mark.parametrize(
    'folder',
    [
        pytest.param(
            folder,
            marks=()
            if folder in ('afd', 'detection', 'hsjp')
            else pytest.mark.slow,
        )
        for folder in CHILDREN
    ],
)
def test_children_of_configs_are_built(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = CHILDREN[folder]
    config = stamped(Config.fromfile(ROOT / 'configs' / name))
    assert config.train_dataloader.sampler._scope_ == 'mmkd'
    monkeypatch.chdir(tmp_path)
    config.work_dir = str(tmp_path / 'run')
    config.experiment_name = f'{folder}_{tmp_path.name}'
    toy = 'toy_' in name or folder == 'quickstart'
    model, visualizer, data = build(config, with_data=toy)
    assert visualizer.endswith('Visualizer')
    assert data


def test_repository_comes_before_mmengine_in_the_stamped_scope() -> None:
    """mmpose and mmcv both have a RandomFlip."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        flip = ROOT_TRANSFORMS.build(
            dict(type='RandomFlip', _scope_='mmkd', direction='horizontal')
        )
    assert type(flip).__module__.startswith('mmpose')


def test_own_name_and_prefix_in_the_stamped_scope() -> None:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for name in ('KLDivLoss', 'mmkd.KLDivLoss'):
            loss = ROOT_MODELS.build(dict(type=name, _scope_='mmkd'))
            assert type(loss).__module__.startswith('mmkd')
        with pytest.raises(KeyError, match='no such model; nearest'):
            ROOT_MODELS.build(dict(type='mmkd.ResNet', _scope_='mmkd'))
        with pytest.raises(KeyError, match='Nowhere'):
            ROOT_MODELS.build(dict(type='Nowhere', _scope_='mmkd'))


def test_no_kind_of_object_is_left_out() -> None:
    """Every registry of mmengine has one of mmkd."""
    ours = {r.name for r in REGISTRIES}
    roots = vars(mmengine_registries).values()
    theirs = {r.name for r in roots if isinstance(r, Registry)}
    assert theirs - ours <= {'runner constructor'}
