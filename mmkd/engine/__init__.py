"""Hooks and loops."""

from mmkd.engine.hooks import *  # noqa: F403
from mmkd.engine.loops import *  # noqa: F403
