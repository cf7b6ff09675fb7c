"""What ``mmcv.ops`` tells of its compiler."""

from __future__ import annotations

import torchvision


def get_compiler_version() -> str:
    return f'none: mmkd-mmcv-ops on torchvision {torchvision.__version__}'


def get_compiling_cuda_version() -> str:
    return 'none: mmkd-mmcv-ops runs where torchvision runs'
