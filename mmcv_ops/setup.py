"""Refuses to install beside a compiled mmcv, which needs no stand-in."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from setuptools import setup


def compiled_operators() -> list[Path]:
    """Compiled ``mmcv/_ext`` of the environment that pip installs into."""
    folders = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    found = [Path(folder).glob('mmcv/_ext.*') for folder in sorted(folders)]
    return [
        path
        for paths in found
        for path in paths
        if path.suffix in {'.so', '.pyd'}
    ]


if __name__ == '__main__':
    present = compiled_operators()
    if present and 'bdist_wheel' in sys.argv:
        sys.exit(
            f'mmkd-mmcv-ops: a compiled mmcv is here ({present[0]}) and '
            'needs no stand-in; to use the stand-in instead, first '
            '`pip uninstall -y mmcv`, then `pip install mmcv-lite==2.1.0`'
        )
    setup()
