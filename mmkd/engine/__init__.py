"""Hooks, loops and optimizer wrappers."""

from mmkd.engine.hooks import *  # noqa: F403
from mmkd.engine.loops import *  # noqa: F403
from mmkd.engine.optimizers import *  # noqa: F403
