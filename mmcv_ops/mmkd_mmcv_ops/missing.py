"""The error of an operator that has no stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

HOW_TO_COMPILE = (
    'in an environment of mmkd: bash tools/setup_env.sh --compiled-ops '
    '(or --cuda-ops); elsewhere: pip uninstall -y mmkd-mmcv-ops mmcv-lite '
    '&& MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv '
    'mmcv==2.1.0'
)


def missing_operator(name: str) -> Callable[..., NoReturn]:
    """A function that says which operator is missing and how to get it."""

    def raise_error(*args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(
            f"mmcv's operator '{name}' has no stand-in in mmkd-mmcv-ops; "
            f'build the compiled mmcv ({HOW_TO_COMPILE})'
        )

    raise_error.__name__ = name
    return raise_error
