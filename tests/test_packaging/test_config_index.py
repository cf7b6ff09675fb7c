"""Every config is described: metafile, model index and README."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
FOLDERS = sorted(
    path.name
    for path in CONFIGS.iterdir()
    if path.is_dir() and path.name != '_base_'
)


def configs_of(folder: str) -> set[str]:
    return {path.name for path in (CONFIGS / folder).glob('*.py')}


def metafile_of(folder: str) -> dict:
    return yaml.safe_load((CONFIGS / folder / 'metafile.yml').read_text())


def test_configs_lie_in_method_folders() -> None:
    found = {
        path.relative_to(CONFIGS).parts
        for path in CONFIGS.rglob('*.py')
        if path.relative_to(CONFIGS).parts[0] != '_base_'
    }
    assert found
    assert {parts for parts in found if len(parts) != 2} == set()


def test_model_index_lists_every_metafile() -> None:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    found = CONFIGS.rglob('metafile.yml')
    assert sorted(index['Import']) == sorted(
        path.relative_to(ROOT).as_posix() for path in found
    )


@pytest.mark.parametrize('folder', FOLDERS)
def test_metafile_lists_exactly_the_configs(folder: str) -> None:
    listed = [model['Config'] for model in metafile_of(folder)['Models']]
    assert sorted(listed) == sorted(
        f'configs/{folder}/{name}' for name in configs_of(folder)
    )


@pytest.mark.parametrize('folder', FOLDERS)
def test_metafile_has_the_keys_that_mim_reads(folder: str) -> None:
    metafile = metafile_of(folder)
    names = {collection['Name'] for collection in metafile['Collections']}
    for collection in metafile['Collections']:
        assert (ROOT / collection['README']).is_file()
        assert {'Metadata', 'Paper'} <= collection.keys()
    for model in metafile['Models']:
        assert model['Name'] == Path(model['Config']).stem
        assert model['In Collection'] in names
        for result in model['Results']:
            assert {'Task', 'Dataset'} <= result.keys()


@pytest.mark.parametrize('folder', FOLDERS)
def test_readme_names_every_config(folder: str) -> None:
    readme = (CONFIGS / folder / 'README.md').read_text(encoding='utf-8')
    missing = {name for name in configs_of(folder) if name not in readme}
    assert missing == set()
