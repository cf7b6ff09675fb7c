"""Packaging of mmkd.

``mmkd/.mim`` holds the configs, the tools and the model index inside the
package, where mim and ``mmkd::...`` bases look for them: as links for an
editable install, as copies for a wheel or a source distribution.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MIM = ROOT / 'mmkd' / '.mim'
MIM_ENTRIES = ('configs', 'tools', 'model-index.yml')
LINK_COMMANDS = {'develop', 'editable_wheel'}
COPY_COMMANDS = {'bdist_wheel', 'sdist'}


def add_mim_extension(link: bool) -> None:
    """Fill ``mmkd/.mim`` afresh with links to, or copies of, its entries."""
    if MIM.is_symlink() or MIM.is_file():
        MIM.unlink()
    elif MIM.is_dir():
        shutil.rmtree(MIM)
    MIM.mkdir()
    for name in MIM_ENTRIES:
        source, target = ROOT / name, MIM / name
        if link:
            target.symlink_to(os.path.relpath(source, MIM))
        elif source.is_dir():
            ignore = shutil.ignore_patterns('__pycache__')
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copy2(source, target)


def read_requirements(name: str) -> list[str]:
    """Requirements of one file, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    stripped = (line.partition('#')[0].strip() for line in lines)
    return [line for line in stripped if line]


def long_description() -> str:
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


def run_setup() -> None:
    extras = {
        name: read_requirements(name)
        for name in ('mminstall', 'seg', 'det', 'pose', 'tests', 'docs')
    }
    # mmcv has two forms (docs/install.md): `all` leaves the choice open
    extras['all'] = sorted(
        line
        for line in set().union(*extras.values())
        if not line.startswith('mmcv')
    )
    for name in ('timm', 'hf'):  # foundation networks
        extras[name] = read_requirements(name)
    setup(
        name='mmkd',
        version=runpy.run_path(str(ROOT / 'mmkd' / 'version.py'))[
            '__version__'
        ],
        description='Knowledge distillation for every OpenMMLab network',
        long_description=long_description(),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        packages=find_packages(include=['mmkd', 'mmkd.*']),
        include_package_data=True,
        python_requires='>=3.10,<3.14',
        install_requires=read_requirements('runtime'),
        extras_require=extras,
        zip_safe=False,
    )


if __name__ == '__main__':
    commands = set(sys.argv)
    if commands & LINK_COMMANDS:
        add_mim_extension(link=True)
    elif commands & COPY_COMMANDS:
        add_mim_extension(link=False)
    run_setup()
    if commands & COPY_COMMANDS and (ROOT / '.git').exists():
        add_mim_extension(link=True)  # copies in a checkout would grow stale
