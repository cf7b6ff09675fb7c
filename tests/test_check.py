"""mmkd.check names what is missing, what does not fit, and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmkd import check


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages of this folder hide those that are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def make_package(site: Path, name: str, version: str, body: str = '') -> None:
    (site / name).mkdir(exist_ok=True)
    text = f'__version__ = {version!r}\n{body}'
    (site / name / '__init__.py').write_text(text)
    info = site / f'{name}-{version}.dist-info'
    info.mkdir()
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    (info / 'METADATA').write_text(metadata)


def package(module: str, **changes: object) -> check.Package:
    settings = dict(
        at_least=(2, 1), below=(2, 2), advice='pip install cure', purpose=''
    )
    return check.Package(module, **(settings | changes))


def test_this_environment_is_sound(capsys: pytest.CaptureFixture) -> None:
    assert check.main(['--all']) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1] for line in text.splitlines()}
    assert set(rows) == {'Python', 'operators', *check.PACKAGES}
    assert set(rows.values()) == {'ok'}
    (operators,) = (x for x in text.splitlines() if x[:9] == 'operators')
    import mmcv._ext

    if mmcv._ext.__file__.endswith('.so'):
        assert 'compiled' in operators
    else:
        assert 'stand-ins' in operators
        assert 'roi_align' in operators


@pytest.mark.parametrize('version', ['2.0.9', '2.2.0', '3.0'])
def test_version_that_does_not_fit(site: Path, version: str) -> None:
    make_package(site, 'foreign_tool', version)
    with pytest.raises(
        check.Problem, match=f'{version} is here, mmkd needs 2.1 .* cure'
    ) as caught:
        check.check_package('foreign_tool', package('foreign_tool'))
    assert caught.value.state == 'unfit'


def test_version_that_fits(site: Path) -> None:
    make_package(site, 'fitting_tool', '2.1.5+local')
    found = check.check_package('fitting_tool', package('fitting_tool'))
    assert found == '2.1.5+local'


def test_missing_package() -> None:
    settings = package('no_such_tool', purpose='pose')
    with pytest.raises(
        check.Problem, match='needed for pose: pip install cure'
    ) as caught:
        check.check_package('no_such_tool', settings)
    assert caught.value.state == 'missing'


def test_package_that_does_not_import(site: Path) -> None:
    body = 'raise OSError("libcudart.so: cannot open\\nmore lines")'
    make_package(site, 'broken_tool', '2.1.0', body)
    with pytest.raises(
        check.Problem, match='^OSError: libcudart.so: cannot open$'
    ) as caught:
        check.check_package('broken_tool', package('broken_tool'))
    assert caught.value.state == 'broken'


def test_missing_repository_counts_only_when_all_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    optional = package('no_such_tool', purpose='pose')
    monkeypatch.setattr(check, 'PACKAGES', {'no_such_tool': optional})
    assert check.main([]) == 0
    assert check.main(['--all']) == 2
    assert 'no_such_tool missing  needed for pose' in capsys.readouterr().out


def test_only_mmkd_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = check.Package('mmkd.no_such_module', (), (), 'advice')
    monkeypatch.setattr(check, 'PACKAGES', {'mmkd': wrong})
    assert check.main([]) == 1


@pytest.mark.parametrize('version', [(3, 9, 1), (3, 14, 0)])
def test_wrong_python(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(sys, 'version_info', version)
    with pytest.raises(check.Problem, match='mmkd needs 3.10, 3.11, 3.12 or'):
        check.check_python()


def test_numpy_1_is_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, 'version_of', lambda name: '1.26.4')
    text = check.check_package('numpy', check.PACKAGES['numpy'])
    assert '1.26.4 (mmkd and OpenCV 5 are made for 2: pip install' in text


def test_two_mmcv_in_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {'mmcv': '2.1.0', 'mmcv-lite': '2.1.0'}
    monkeypatch.setattr(check, 'installed', versions.get)
    with pytest.raises(check.Problem, match='pip uninstall -y mmcv mmcv-lite'):
        check.check_operators()


def test_no_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = check.importlib.util.find_spec

    def find(name: str) -> object:
        return None if name == 'mmcv._ext' else find_spec(name)

    monkeypatch.setattr(check, 'installed', lambda name: None)
    monkeypatch.setattr(check.importlib.util, 'find_spec', find)
    with pytest.raises(check.Problem, match='pip install ./mmcv_ops'):
        check.check_operators()


def test_masks_made_for_numpy_1() -> None:
    class Masks:
        @staticmethod
        def encode(array: object) -> object:
            return array

        @staticmethod
        def area(array: object) -> int:
            raise AttributeError("no attribute 'NPY_OWNDATA'")

    with pytest.raises(check.Problem, match='made for NumPy 1'):
        check.use_masks(Masks)
