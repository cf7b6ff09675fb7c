"""A quiet start: the terminal shows what a run is, the log file all."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Packages whose advice about their own code no user of a tool can follow.
_OTHERS = r'(mm[a-z]+|torch[a-z]*|timm|pkg_resources|albumentations)(\.|$)'
_DEPRECATED = r'(?is).*deprecat'
# How records begin that are for the file alone.
_DUMPS = (
    'System environment:',
    'Config:',
    'Hooks will be executed in the following order:',
    'Distributed training is not used, all SyncBatchNorm',
    'paramwise_options -- ',  # a line for every option of every parameter
)
# What mmengine says of every parameter that several peers share.
_SHARED = 'is duplicate. It is skipped since bypass_duplicate=True'


@contextmanager
def without_advice() -> Iterator[None]:
    """Hide what other packages say of their own deprecated code."""
    with warnings.catch_warnings():
        for text in (_DEPRECATED, '(?is).*pkg_resources'):
            warnings.filterwarnings('ignore', text, module=_OTHERS)
        yield


class ToFileOnly(logging.Filter):
    """Keeps dumps and the advice of other packages off the terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the terminal shows ``record``."""
        text = record.getMessage().lstrip('-\n ')
        advice = record.levelno == logging.WARNING and 'deprecated' in text
        dump = text.startswith(_DUMPS) or text.endswith(_SHARED)
        return not advice and not dump


def keep_dumps_off_terminal(logger: logging.Logger) -> None:
    """Let environment, config and hooks go to the log file alone."""
    for handler in logger.handlers:
        plain = isinstance(handler, logging.StreamHandler) and not (
            isinstance(handler, logging.FileHandler)
        )
        if plain and not any(
            isinstance(f, ToFileOnly) for f in handler.filters
        ):
            handler.addFilter(ToFileOnly())


def log_files(logger: logging.Logger) -> list[str]:
    """Return the files that a logger writes."""
    return [
        handler.baseFilename
        for handler in logger.handlers
        if isinstance(handler, logging.FileHandler)
    ]
