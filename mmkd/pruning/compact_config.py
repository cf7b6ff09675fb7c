"""The config of a run, for its compact network."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmkd.utils.types import type_name

# Hooks that need the pruned network at full width, or a distiller.
_NOT_FOR_PLAIN = (
    'SoftFilterPruningHook',
    'BestPeerHook',
    'DatasetLabelsHook',
    'ExportStudentHook',
    'HeldOutWeightsHook',
)
_HERE = '{{ fileDirname }}'  # mmengine puts in the folder of the config


def compact_config(config: Config, architecture: Mapping[str, Any]) -> Config:
    """Return a config that tests the compact network, or trains it further.

    It belongs beside ``plan.json`` and ``compact.pth``.

    Args:
        config: of the run, a distiller's too.
        architecture: of the network at full width.
    """
    found = copy.deepcopy(config)
    found.model = dict(
        type='mmkd.CompactModel',
        architecture=dict(architecture),
        plan=f'{_HERE}/plan.json',
        init_cfg=dict(type='Pretrained', checkpoint=f'{_HERE}/compact.pth'),
    )
    found.load_from, found.resume = None, False
    found.pop('work_dir', None)
    found.setdefault(
        'custom_imports', dict(imports=['mmkd'], allow_failed_imports=False)
    )
    if found.get('custom_hooks'):
        found.custom_hooks = [h for h in found.custom_hooks if _stays(h)]
    hooks = found.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if not _stays(hook)]:
        hooks.pop(name)
    checkpoint = hooks.get('checkpoint') or {}
    best = checkpoint.get('save_best')
    if isinstance(best, str):
        checkpoint['save_best'] = best.removeprefix('pruned/')
    elif best:
        checkpoint['save_best'] = [key.removeprefix('pruned/') for key in best]
    return found


def _stays(hook: Any) -> bool:
    kind = hook.get('type') if isinstance(hook, Mapping) else None
    return type_name(kind) not in _NOT_FOR_PLAIN
