"""Networks that look at patches of an image.

Those that need mmpretrain are imported when they are first asked for.
"""

from typing import Any

from mmkd.models.classifiers.multi_scale_selector import (
    MultiScalePatchSelector,
)
from mmkd.models.classifiers.patch_selector import PatchSelector
from mmkd.registry import TASK_MODULES, import_task_module

__all__ = ['MultiScalePatchSelector', 'PatchSelector']


def __getattr__(name: str) -> Any:
    module = TASK_MODULES.get(name, ('', ''))[0]
    if not module.startswith(__name__):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import_task_module(name)
    return getattr(__import__(module, fromlist=[name]), name)
