"""Keys of a config that nobody reads: misspelt ones."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmkd.cli.frames import walk

# Top-level keys that mmengine reads beside the arguments of its Runner.
_EXTRA_KEYS = {
    'activation_checkpointing',
    'auto_scale_lr',
    'bad_samples',
    'compile',
    'custom_imports',
    'detect_anomalous_params',
    'efficient_conv_bn_eval',
    'exact_resume',
    'find_unused_parameters',
    'load_from_partial',
    'model_wrapper_cfg',
    'runner_type',
    'stages',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}
RUN_KEYS = frozenset(
    {*inspect.signature(Runner).parameters, *_EXTRA_KEYS} - {'cfg'}
)

# Likeness (of difflib) from which a variable counts as a misspelt key, as it
# does with one letter wrong. The variables of the stock configs stay below.
LIKENESS = 0.88
# mmsegmentation's bisenetv2_fcn_4xb4-ohem-160k config has this mistake.
_IN_STOCK_CONFIGS = {'models'}
#: from which a name is offered as what may have been meant
OFFERED = 0.6

# Dicts of which mmengine takes what it knows and passes over the rest.
_INNER_KEYS: dict[str, set[str]] = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'optim_wrapper.paramwise_cfg': {
        'bias_decay_mult',
        'bias_lr_mult',
        'bypass_duplicate',
        'custom_keys',
        'dcn_offset_lr_mult',
        'dwconv_decay_mult',
        'flat_decay_mult',
        'norm_decay_mult',
    },
}


def nearest(
    name: str, known: Iterable[str], cutoff: float = OFFERED
) -> list[str]:
    """Return up to three known names that are like ``name``."""
    # Longer strings are shared by chance: case says little.
    found = {str(key).lower(): str(key) for key in known}
    near = difflib.get_close_matches(str(name).lower(), found, 3, cutoff)
    return [found[key] for key in near]


def offer(name: str, known: Iterable[str]) -> str:
    """Return ``; nearest: …`` as the end of a message, or nothing."""
    near = nearest(name, known)
    return f'; nearest: {", ".join(near)}' if near else ''


def misspelt(key: str) -> str | None:
    """Return the key of a run that ``key`` seems to mean, or None."""
    if key in RUN_KEYS:
        return None
    known = [k for k in RUN_KEYS if k[:3] != 'tta' or key[:3] == 'tta']
    near = nearest(key, known, LIKENESS)
    near += [k for k in sorted(known) if one_letter_off(key, k)]
    return near[0] if near else None


def one_letter_off(one: str, other: str) -> bool:
    """Whether a letter is missing, added, another, or two are swapped."""
    one, other = sorted((one.lower(), other.lower()), key=len)
    start = 0
    while start < len(one) and one[start] == other[start]:
        start += 1
    ends = {one[start:], one[start + 1 :]}
    swapped = one[start + 1 : start + 2] + one[start : start + 1]
    return (
        other[start + 1 :] in ends
        or one != other
        and swapped + one[start + 2 :] == other[start:]
    )


# Names of mmengine's own default hooks; a hook under another name is one more.
_DEFAULT_HOOKS = (
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler',
    'checkpoint',
)  # fmt: skip
# What mmengine reads of a custom key; mmpose's ViTPose configs have the last,
# a mistake.
_CUSTOM_KEY = ('lr_mult', 'decay_mult', 'decay_multi')
# What networks of the repositories read of their test_cfg, one by one.
_TEST_CFG = (
    'crop_size', 'flip_mode', 'flip_test', 'mask_thr_binary', 'max_per_img',
    'min_bbox_size', 'nms_post', 'nms_pre', 'output_heatmaps',
    'iou_threshold', 'mode', 'output_keypoint_indices', 'score_thr',
    'shift_heatmap', 'size_divisor', 'stride',
)  # fmt: skip


def _check_names(config: Config) -> None:
    """Refuse misspelt names of hooks, in ``test_cfg`` and custom keys."""
    for key in config.get('default_hooks') or {}:
        _refuse_like('default_hooks', key, _DEFAULT_HOOKS)
    for path, value in walk(config.get('model'), 'model'):
        if '.test_cfg' in path and isinstance(value, Mapping):
            for key in value:
                _refuse_like(path, key, _TEST_CFG)
    for path, value in walk(config.get('optim_wrapper'), 'optim_wrapper'):
        if '.custom_keys.' in path and isinstance(value, Mapping):
            for key in value:
                _refuse_like(path, key, _CUSTOM_KEY)


def _refuse_like(path: str, key: str, known: tuple[str, ...]) -> None:
    for name in known:
        if key not in known and one_letter_off(key, name):
            raise KeyError(
                f'{path} has the key "{key}", which nothing reads; nearest: '
                f'{name}'
            )


def _is_class(config: Config, key: str) -> bool:
    """Return whether a pure-Python config imports a class of that name."""
    return key[0].isupper() and not isinstance(
        config[key], (Mapping, list, tuple, str, int, float)
    )


def check_keys(config: Config) -> None:
    """Refuse misspelt keys that a run would pass over.

    Other top-level names are variables of the config file.

    Raises:
        KeyError: names the key and what was meant.
        TypeError: a dict was expected.
    """
    for key in config:
        meant = misspelt(key)
        if meant is None or _is_class(config, key):
            continue
        text = (
            f'the config sets "{key}", which nothing reads; nearest: {meant}. '
            'Correct the name, or choose another one for a variable of your '
            'own'
        )
        if key not in _IN_STOCK_CONFIGS:
            raise KeyError(text)
        print_log(text, logger='current', level=logging.WARNING)
    _check_names(config)
    for path, known in _INNER_KEYS.items():
        given = _value(config, path)
        if given is None or (
            path.startswith('optim_wrapper') and _own_constructor(config)
        ):
            continue
        if not isinstance(given, Mapping):
            raise TypeError(
                f'{path}={given!r} is a {type(given).__name__}: give a dict '
                f'with {", ".join(sorted(known))}'
            )
        for key in given:
            if key not in known and not key.startswith('_'):
                raise KeyError(
                    f'{path} has the unknown key "{key}"{offer(key, known)}; '
                    f'it knows {", ".join(sorted(known))}'
                )


def _value(config: Config, path: str) -> Any:
    top, *rest = path.split('.')
    value: Any = config.get(top)
    for key in rest:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _own_constructor(config: Config) -> bool:
    wrapper: Any = config.get('optim_wrapper')
    constructor = wrapper.get('constructor', 'DefaultOptimWrapperConstructor')
    return constructor != 'DefaultOptimWrapperConstructor'
