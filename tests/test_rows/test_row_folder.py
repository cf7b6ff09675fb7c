"""A folder of configs from its rows.yml, and what is committed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmkd.rows import GENERATED, changes, folders, generate

CONFIGS = Path(__file__).parents[2] / 'configs'
ROWS = """\
collection: {Name: Tests, Metadata: {}, Paper: {Title: T, URL: U}}
data:
  '*_toy': {Task: Image Classification, Dataset: toys}
own:
  by_hand_toy: {mIoU: 41.50}
entries:
  students:
    small: Small
  pairs:
    big_small: {title: 'b, s', student: small}
configs:
  - name: alone_<student>_toy
    each: {student: students}
    body: |
      depth = 8
  - name: <method>_<pair>_toy
    each: {method: [kd, at], pair: pairs}
    with: {weight: {default: '1.0', at: '1000.0'}}
    body: |
      _base_ = 'alone_<pair.student>_toy.py'
      weight = <weight>
tables:
  toy:
    columns: pairs
    lines: {kd: KD, at: AT}
    config: <line>_<column>_toy
    metric: Top 1
    numbers: |
      pair       kd
      big_small  74.30
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'rows.yml').write_text(ROWS)
    (tmp_path / 'README.md').write_text(
        '# Tests\n<!-- rows:toy -->\n<!-- /rows:toy -->\n'
    )
    (tmp_path / 'by_hand_toy.py').write_text('depth = 3\n')
    return tmp_path


def write(folder: Path) -> list[str]:
    found = changes(folder)
    for path, text in found.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding='utf-8')
    return [path.name for path in found]


def metafile_of(folder: Path) -> dict[str, dict]:
    models = yaml.safe_load((folder / 'metafile.yml').read_text())['Models']
    return {model['Name']: model for model in models}


@pytest.mark.parametrize(
    'folder', folders(CONFIGS), ids=lambda folder: folder.name
)
def test_what_is_committed_is_what_rows_stand_for(folder: Path) -> None:
    """After a change: python tools/generate_configs.py."""
    differs = sorted(path.name for path in changes(folder))
    assert differs == []


def test_all_folders_but_the_smallest_have_rows() -> None:
    all_of_them = {path.parent.name for path in CONFIGS.glob('*/metafile.yml')}
    by_rows = {folder.name for folder in folders(CONFIGS)}
    assert all_of_them - by_rows == {'quickstart'}


def test_files_are_written_once(folder: Path) -> None:
    assert write(folder) == [
        'README.md',
        'alone_small_toy.py',
        'at_big_small_toy.py',
        'kd_big_small_toy.py',
        'metafile.yml',
    ]
    assert write(folder) == []
    config = Config.fromfile(folder / 'at_big_small_toy.py')
    assert config.to_dict() == dict(depth=8, weight=1000.0)
    text = (folder / 'kd_big_small_toy.py').read_text()
    assert text.startswith(GENERATED)


def test_metafile_lists_written_configs_too(folder: Path) -> None:
    write(folder)
    models = metafile_of(folder)
    assert list(models) == sorted(models)
    metrics = {
        name: model['Results'][0]['Metrics'] for name, model in models.items()
    }
    assert metrics == {
        'alone_small_toy': {},
        'at_big_small_toy': {},
        'by_hand_toy': {'mIoU': 41.5},
        'kd_big_small_toy': {'Top 1': 74.3},
    }
    assert models['kd_big_small_toy'] == {
        'Name': 'kd_big_small_toy',
        'In Collection': 'Tests',
        'Metadata': {'Training Data': 'toys'},
        'Results': [
            {
                'Task': 'Image Classification',
                'Dataset': 'toys',
                'Metrics': {'Top 1': 74.3},
            }
        ],
        'Config': f'configs/{folder.name}/kd_big_small_toy.py',
    }


def test_a_pair_costs_one_row(folder: Path) -> None:
    write(folder)
    row = "    big_small: {title: 'b, s', student: small}\n"
    more = row + "    huge_small: {title: 'h, s', student: small}\n"
    (folder / 'rows.yml').write_text(ROWS.replace(row, more))
    assert write(folder) == [
        'README.md',
        'at_huge_small_toy.py',
        'kd_huge_small_toy.py',
        'metafile.yml',
    ]
    assert '| AT | [-](at_big_small_toy.py) | [-](at_huge_small_toy.py) |' in (
        folder / 'README.md'
    ).read_text('utf-8')
    # and goes with its row; what is written by hand stays
    (folder / 'rows.yml').write_text(ROWS)
    assert 'kd_huge_small_toy.py' in write(folder)
    assert not (folder / 'kd_huge_small_toy.py').exists()
    assert (folder / 'by_hand_toy.py').read_text() == 'depth = 3\n'


def test_a_written_config_is_not_replaced(folder: Path) -> None:
    (folder / 'kd_big_small_toy.py').write_text('depth = 1\n')
    message = r'rows.yml: kd_big_small_toy.py is written by hand.*delete'
    with pytest.raises(ValueError, match=message):
        generate(folder)


@pytest.mark.parametrize(
    ('old', 'new', 'error', 'message'),
    [
        ('[kd, at]', '[kd, at, kd]', ValueError, 'two rows stand for kd_big'),
        ("'*_toy':", "'*_x':", KeyError, 'no pattern of `data` fits alone'),
        ('    body', '    bdy', KeyError, "`configs` lacks 'body'"),
        ('own:', 'owns:', KeyError, "`rows.yml` has 'owns'.*meant: own"),
        ('  toy:', '  toys:', ValueError, 'no markers <!-- rows:toys -->'),
    ],
)
def test_errors_name_file_and_cure(
    folder: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    (folder / 'rows.yml').write_text(ROWS.replace(old, new))
    with pytest.raises(error, match=rf'(?s)rows\.yml: .*{message}'):
        generate(folder)
