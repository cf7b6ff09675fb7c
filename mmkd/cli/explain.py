"""Errors of other libraries, told by the key of the config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from mmkd.cli.errors import raised_by_mmkd
from mmkd.cli.explain_build import explain_build
from mmkd.cli.explain_step import explain_step
from mmkd.cli.frames import frames_of, in_loop


class ConfigError(ValueError):
    """What is wrong with a config, by its key."""


@contextmanager
def explained(config: Config) -> Iterator[None]:
    """Name the key of ``config`` where setting up or the first step fails.

    What mmkd raises on purpose says it already; errors of a run that
    stepped before are left as they are.

    Raises:
        ConfigError: instead of an error that a key explains.
    """
    try:
        yield
    except FloatingPointError:
        raise
    except Exception as error:
        frames = frames_of(error)
        explain = explain_step if in_loop(frames) else explain_build
        text = None if raised_by_mmkd(error) else explain(error, config)
        if text is None:
            raise
        raise ConfigError(text) from error
