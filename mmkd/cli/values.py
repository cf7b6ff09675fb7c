"""Values of a config of a kind or size that no run can use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from mmengine import registry as root
from mmengine.config import Config

from mmkd.cli.frames import walk
from mmkd.cli.keys import offer
from mmkd.cli.signatures import shown, wrong_kinds
from mmkd.tasks import REPOSITORIES

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_A_DICT = [
    'auto_scale_lr', 'custom_imports', 'data_preprocessor', 'default_hooks',
    'env_cfg', 'log_processor', 'model', 'model_wrapper_cfg',
    'optim_wrapper', 'optim_wrapper.optimizer', 'randomness', 'test_cfg',
    'train_cfg', 'val_cfg', *_LOADERS,
    *(f'{loader}.{part}' for loader in _LOADERS
      for part in ('dataset', 'sampler', 'batch_sampler')),
]  # fmt: skip
_A_LIST = ['custom_hooks']
_DICT_OR_LIST = ['param_scheduler', 'val_evaluator', 'test_evaluator']
_TEXT = ['default_scope', 'load_from', 'work_dir']
# Smallest whole number.
_AT_LEAST = {
    'train_cfg.max_iters': 1,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    **{f'{loader}.batch_size': 1 for loader in _LOADERS},
    **{f'{loader}.num_workers': 0 for loader in _LOADERS},
}
# Of these, what is built shows a wrong value late, or never.
_BUILT = {
    'custom_hooks': root.HOOKS,
    'default_hooks': root.HOOKS,
    'optim_wrapper': root.OPTIMIZERS,
    'param_scheduler': root.PARAM_SCHEDULERS,
    'train_cfg': root.LOOPS,
}


def check_values(config: Config) -> None:
    """Refuse values that mmengine trips over far from where they stand.

    Raises:
        KeyError: ``default_scope`` names no package.
        TypeError: a value is of another kind.
        ValueError: a number is too small.
    """
    for key, value in _found(config, _A_DICT):
        _require(key, value, Mapping, 'a dict')
    for key, value in _found(config, _A_LIST):
        _require(key, value, (list, tuple), 'a list of dicts')
    for key, value in _found(config, _DICT_OR_LIST):
        _require(key, value, (Mapping, list, tuple), 'a dict or a list')
    for key, value in _found(config, _TEXT):
        _require(key, value, str, 'text')
    for name, hook in (config.get('default_hooks') or {}).items():
        if hook is not None:
            _require(f'default_hooks.{name}', hook, Mapping, 'a dict')
    for key, value in _found(config, _AT_LEAST):
        least = _AT_LEAST[key]
        whole = not isinstance(value, bool) and (
            isinstance(value, (int, float)) and value == int(value)
        )
        if not whole:
            raise TypeError(f'{key}={value!r} must be a whole number')
        if value < least:
            raise ValueError(f'{key}={value} must be at least {least}')
    _check_scope(config.get('default_scope'))
    for key, registry in _BUILT.items():
        _check_kinds(key, config.get(key), registry)


def _found(config: Config, paths: Any) -> Iterator[tuple[str, Any]]:
    for path in paths:
        top, *rest = path.split('.')
        value: Any = config.get(top)
        for key in rest:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            yield path, value


def _require(key: str, value: Any, kinds: Any, name: str) -> None:
    if not isinstance(value, kinds):
        raise TypeError(
            f'{key}={shown(value)} is of the kind {type(value).__name__}: '
            f'give {name}'
        )


def _check_scope(scope: Any) -> None:
    if scope is not None and find_spec(scope.partition('.')[0]) is None:
        known = ['mmengine', 'mmkd', *REPOSITORIES]
        raise KeyError(
            f'default_scope="{scope}" is no package that is installed'
            f'{offer(scope, known)}; give that of the networks and data, or '
            'install it'
        )


def _check_kinds(key: str, value: Any, registry: root.Registry) -> None:
    """Refuse text where mmengine's own classes take numbers or lists."""
    for path, found in walk(value, key) if value else ():
        kind = found.get('type') if isinstance(found, Mapping) else None
        cls = registry.module_dict.get(kind) if kind is not None else None
        if cls is None:
            continue
        text = {k: v for k, v in found.items() if isinstance(v, str)}
        wrong = wrong_kinds(cls, text)
        if wrong:
            raise TypeError(f'{path} ({kind}): {"; ".join(wrong)}')
