"""Make a wheel of xtcocotools that needs no compiler.

xtcocotools is pycocotools with more kinds of key points. Its compiled part,
the masks, is the one of pycocotools, which has wheels for every Python and
for NumPy 1 and 2: `xtcocotools._mask` is taken from there.

usage: python pure_xtcocotools.py SOURCE_DISTRIBUTION.tar.gz FOLDER
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MASK = '''\
"""The masks of pycocotools in place of a compiled module."""

from pycocotools._mask import *  # noqa: F403
'''
SETUP = """\
from setuptools import setup

setup(
    name='xtcocotools',
    version='{version}+pycocotools',
    packages=['xtcocotools'],
    package_data={{'xtcocotools': []}},
    install_requires=['matplotlib', 'numpy', 'pycocotools'],
)
"""


def make_wheel(archive: Path, folder: Path) -> None:
    """Unpack, exchange the compiled part, build."""
    with tempfile.TemporaryDirectory() as place:
        shutil.unpack_archive(archive, place)
        (source,) = (path for path in Path(place).iterdir() if path.is_dir())
        version = source.name.rpartition('-')[2]
        (source / 'setup.py').write_text(SETUP.format(version=version))
        (source / 'xtcocotools' / '_mask.pyx').unlink()
        (source / 'xtcocotools' / '_mask.py').write_text(MASK)
        pip = [sys.executable, '-m', 'pip', 'wheel', '--no-deps']
        options = ['--no-build-isolation', '--no-cache-dir', '-w', str(folder)]
        subprocess.run([*pip, *options, str(source)], check=True)


if __name__ == '__main__':
    make_wheel(Path(sys.argv[1]), Path(sys.argv[2]))
