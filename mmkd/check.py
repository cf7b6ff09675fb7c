"""What is here, what is missing, what does not fit: ``python -m mmkd.check``.

Prints a line for each package: ``ok``, ``missing``, ``broken`` or ``unfit``
with what to do, and which operators of mmcv are stand-ins. ``--all`` takes
missing task repositories as errors. Exit code: 0 all is well, 1 only mmkd
itself does not import, 2 something else is wrong.

It imports nothing of mmkd at the top, so that it also runs as a file where
mmkd cannot be imported.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import io
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from types import ModuleType

INSTALL = 'see docs/install.md, or run `bash tools/setup_env.sh`'
PYTHONS = ((3, 10), (3, 14))


@dataclass
class Package:
    """A package that mmkd uses.

    Args:
        module: imported to see that it works.
        at_least, below: versions that fit, as tuples.
        advice: what to do when the package is missing or does not fit.
        purpose: what is not possible without it; none: mmkd needs it.
    """

    module: str
    at_least: tuple[int, ...]
    below: tuple[int, ...]
    advice: str
    purpose: str = ''


def pip(requirement: str) -> str:
    return f"pip install '{requirement}'"


PACKAGES = {
    'numpy': Package('numpy', (1, 26), (3,), pip('numpy>=2,<3')),
    'torch': Package('torch', (2, 4, 1), (3,), pip('torch>=2.4.1')),
    'torchvision': Package(
        'torchvision.ops', (0, 19, 1), (1,), pip('torchvision>=0.19.1')
    ),
    'setuptools': Package(
        'pkg_resources', (), (81,), f'{pip("setuptools<81")} (for mmengine)'
    ),
    'mmengine': Package(
        'mmengine.runner', (0, 10, 7), (0, 11), pip('mmengine>=0.10.7,<0.11')
    ),
    'mmcv': Package('mmcv', (2, 1), (2, 2), pip('mmcv-lite==2.1.0')),
    'mmpretrain': Package(
        'mmpretrain.models',
        (1, 2),
        (1, 3),
        pip('mmpretrain>=1.2.0,<1.3'),
        'classification',
    ),
    'mmseg': Package(
        'mmseg.models',
        (1, 2, 2),
        (1, 3),
        f'{pip("mmsegmentation>=1.2.2,<1.3")} ftfy regex',
        'segmentation',
    ),
    'mmdet': Package(
        'mmdet.models', (3, 3), (3, 4), pip('mmdet>=3.3.0,<3.4'), 'detection'
    ),
    'xtcocotools': Package(
        'xtcocotools.mask', (1, 14), (2,), 'see docs/install.md', 'pose'
    ),
    'mmpose': Package(
        'mmpose.models', (1, 3, 2), (1, 4), 'see docs/install.md', 'pose'
    ),
    'mmkd': Package('mmkd', (), (), INSTALL),
}


class Problem(Exception):
    """What is wrong with a package, and what to do.

    Args:
        state: ``missing``, ``unfit`` or ``broken``.
        text: one line.
    """

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: '2.4.1+cu121' gives (2, 4, 1)."""
    found = []
    for part in version.partition('+')[0].split('.'):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)


@contextmanager
def silence() -> Iterator[None]:
    """Packages print and warn while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield


def load(module: str) -> ModuleType:
    """Import, or say in one line why that is impossible."""
    with silence():
        try:
            return importlib.import_module(module)
        except Exception as error:  # a broken package may raise anything
            lines = str(error).strip().splitlines() or ['']
            name, text = type(error).__name__, lines[0]
            raise Problem('broken', f'{name}: {text}') from error


def installed(distribution: str) -> str | None:
    """The version that pip knows of."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def version_of(name: str) -> str:
    """The version, found without importing more than the package's top."""
    known = installed('mmsegmentation' if name == 'mmseg' else name)
    if known is None:  # mmcv-lite, and packages that only lie on the path
        known = str(getattr(load(name), '__version__', ''))
    return known


def check_package(name: str, package: Package) -> str:
    """The version of a package that works.

    Raises:
        Problem: it is missing, does not fit, or cannot be imported.
    """
    if importlib.util.find_spec(name) is None:
        use = f'needed for {package.purpose}: ' if package.purpose else ''
        raise Problem('missing', f'{use}{package.advice}')
    version = version_of(name)
    found = numbers(version)
    if found < package.at_least or (package.below and found >= package.below):
        low = '.'.join(map(str, package.at_least)) or '0'
        high = '.'.join(map(str, package.below))
        raise Problem(
            'unfit',
            f'{version} is here, mmkd needs {low} or newer and older '
            f'than {high}: {package.advice}',
        )
    module = load(package.module)
    if name == 'xtcocotools':
        use_masks(module)
    if name == 'numpy' and found < (2,):
        version += f' (mmkd and OpenCV 5 are made for 2: {package.advice})'
    return version


def check_python() -> str:
    low, high = PYTHONS
    if not low <= sys.version_info[:2] < high:
        raise Problem(
            'unfit',
            f'{platform.python_version()} is here, mmkd needs 3.10, '
            '3.11, 3.12 or 3.13: make an environment with one of them',
        )
    return platform.python_version()


def use_masks(masks: ModuleType) -> None:
    """Read a mask back: fails where it was compiled for NumPy 1."""
    ones = load('numpy').ones((2, 3), 'uint8', order='F')
    try:
        area = int(masks.area(masks.encode(ones)))
    except AttributeError as error:
        raise Problem(
            'broken', f'made for NumPy 1 ({error}): see docs/install.md'
        ) from error
    if area != 6:
        raise Problem('broken', f'the area of 6 pixels is {area}')


def use_operators() -> None:
    """Suppress one of two boxes that overlap, and pool one region."""
    torch, ops = load('torch'), load('mmcv.ops')
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]])
    kept = ops.nms(boxes, torch.tensor([0.5, 0.9]), 0.5)[1].tolist()
    if kept != [1]:
        raise Problem('broken', f'mmcv.ops.nms kept {kept} instead of [1]')
    roi = torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0]])
    pooled = ops.roi_align(torch.ones(1, 1, 4, 4), roi, 1).item()
    if pooled != 1:
        raise Problem('broken', f'mmcv.ops.roi_align gave {pooled}, not 1')


def check_operators() -> str:
    """What computes the operators of mmcv.

    Raises:
        Problem: nothing does, two packages share one folder, or the
            operators cannot be loaded or compute wrongly.
    """
    stand_in = 'pip install ./mmcv_ops in a clone of mmkd'
    full, lite = installed('mmcv'), installed('mmcv-lite')
    if full and lite:
        raise Problem(
            'unfit',
            f'mmcv {full} and mmcv-lite {lite} lie in one folder: '
            'pip uninstall -y mmcv mmcv-lite, then install one of them',
        )
    if importlib.util.find_spec('mmcv._ext') is None:
        raise Problem('missing', f'needed by mmseg, mmdet, mmpose: {stand_in}')
    try:
        extension = load('mmcv._ext')
    except Problem as problem:
        raise Problem(
            'broken',
            f'{problem}; compiled for another torch? Compile it again, or '
            f'pip uninstall -y mmcv, {pip("mmcv-lite==2.1.0")}, {stand_in}',
        ) from problem
    use_operators()
    names = getattr(extension, 'OPERATORS', None)
    if names is None:
        built = load('mmcv.ops').get_compiling_cuda_version()
        return f'compiled (CUDA {built})'
    listed = sorted(
        {
            name.removesuffix('_forward')
            for name in names
            if '_backward' not in name and 'get_' not in name
        }
    )
    return f'stand-ins (CPU and CUDA): {" ".join(listed)}'


def report(name: str, check: Callable[[], str]) -> str:
    """Print one line; return the state."""
    try:
        state, text = 'ok', check()
    except Problem as problem:
        state, text = problem.state, str(problem)
    print(f'{name:<12} {state:<8} {text}'.rstrip())
    return state


def main(arguments: list[str] | None = None) -> int:
    """Check everything; the exit code is in the text of the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--all',
        action='store_true',
        help='missing task repositories are errors',
    )
    options = parser.parse_args(arguments)
    states = {'Python': report('Python', check_python)}
    for name, package in PACKAGES.items():
        state = report(name, partial(check_package, name, package))
        if state == 'missing' and package.purpose and not options.all:
            continue
        states[name] = state
        if name == 'mmcv' and state == 'ok':
            states['operators'] = report('operators', check_operators)
    wrong = {name for name, state in states.items() if state != 'ok'}
    return 0 if not wrong else 1 if wrong == {'mmkd'} else 2


if __name__ == '__main__':
    sys.exit(main())
