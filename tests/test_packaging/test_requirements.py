"""The pinned versions satisfy the declared ranges."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parents[2] / 'requirements'
RANGES = ['runtime', 'mminstall', 'seg', 'det', 'pose', 'tests', 'docs']
OPENMMLAB = {
    'mmengine': '0.10.7',
    'mmcv': '2.1.0',
    'mmpretrain': '1.2.0',
    'mmsegmentation': '1.2.2',
    'mmdet': '3.3.0',
    'mmpose': '1.3.2',
}


def read(name: str) -> dict[str, Requirement]:
    lines = (REQUIREMENTS / f'{name}.txt').read_text().splitlines()
    texts = filter(None, (line.partition('#')[0].strip() for line in lines))
    parsed = [Requirement(text) for text in texts]
    return {requirement.name: requirement for requirement in parsed}


def test_openmmlab_versions_are_pinned() -> None:
    pins = read('constraints')
    found = {name: str(pins[name].specifier) for name in OPENMMLAB}
    assert found == {
        name: f'=={version}' for name, version in OPENMMLAB.items()
    }


@pytest.mark.parametrize('name', RANGES)
def test_ranges_allow_the_pins(name: str) -> None:
    pins = read('constraints')
    requirements = read(name)
    assert requirements
    for package, requirement in requirements.items():
        for pin in pins[package].specifier if package in pins else ():
            if pin.operator == '==':
                assert requirement.specifier.contains(pin.version)
