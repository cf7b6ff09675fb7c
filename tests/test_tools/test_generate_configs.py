"""tools/generate_configs.py: what it writes, names and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

ROWS = """\
collection: {Name: Tests, Metadata: {}, Paper: {Title: T, URL: U}}
data: {'*': {Task: Image Classification, Dataset: toys}}
configs:
  - name: net_<depth>
    each: {depth: [8, 14]}
    body: |
      depth = <depth>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'rows.yml').write_text(ROWS)
    return tmp_path


def test_check_writes_nothing(tool, folder, capsys):
    main = tool('generate_configs').main
    assert main([str(folder), '--check']) == 1
    assert [path.name for path in folder.iterdir()] == ['rows.yml']
    assert f'{folder / "net_8.py"}: differs' in capsys.readouterr().out
    assert main([str(folder)]) == 0
    assert main([str(folder), '--check']) == 0
    assert (folder / 'net_14.py').read_text().endswith('depth = 14\n')


def test_a_row_that_goes_takes_its_config(tool, folder, capsys):
    main = tool('generate_configs').main
    main([str(folder)])
    (folder / 'rows.yml').write_text(ROWS.replace('[8, 14]', '[8]'))
    main([str(folder)])
    assert f'{folder / "net_14.py"}: goes' in capsys.readouterr().out
    assert sorted(path.name for path in folder.glob('*.py')) == ['net_8.py']


def test_mistakes_are_one_line(tool, folder, capsys):
    (folder / 'rows.yml').write_text(ROWS.replace('= <depth>', '= <dept>'))
    with pytest.raises(SystemExit):
        tool('generate_configs').main([str(folder)])
    assert capsys.readouterr().err == (
        f'error: {folder / "rows.yml"}: <dept> names no axis of `each` and '
        'nothing of `with`; there are: depth\n'
    )


def test_all_folders_of_the_tree(tool, capsys):
    assert tool('generate_configs').main(['--check']) == 0
    assert capsys.readouterr().out == ''
