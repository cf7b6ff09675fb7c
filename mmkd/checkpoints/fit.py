"""Whether the file of ``load_from`` is of the model that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import nn

OPTION = 'load_from_partial'
_Weights = Mapping[str, Any]


def check_load_from(model: nn.Module, path: str, partial: bool = False) -> str:
    """Refuse a file of which little or nothing fits.

    mmengine would only warn, and train from random weights. A file fits if
    half of the model's tensors are in it, or half of its tensors are in the
    model, of the same shape: other classes, a new head and the file of a
    backbone (with its prefix) are allowed.

    Args:
        model: not wrapped.
        path: what ``load_from`` says, a file or an address.
        partial: ``load_from_partial`` of the config: one tensor is enough.

    Returns:
        A line that says how many tensors fit.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read, or is of another network.
    """
    content = CheckpointLoader.load_checkpoint(path, 'cpu', logger=None)
    saved = _weights(content, path)
    own = _countable(model.state_dict())
    fitting = _count_fitting(own, saved)
    if not _enough(fitting, own, saved, partial):
        fitting = max(fitting, _count_converted(model, saved, len(own)))
    if not _enough(fitting, own, saved, partial):
        raise ValueError(
            f'load_from="{path}" is not of this {type(model).__name__}: '
            f'{fitting} of its {len(own)} tensors are among the '
            f'{len(saved)} of the file, the others would stay random. '
            f'{_cure(model, own, saved, path, fitting)}'
        )
    return (
        f'load_from="{path}": {fitting} of {len(own)} tensors of the model '
        f'are in the file, {len(saved) - fitting} of the file are not used'
    )


def _weights(content: Any, path: str) -> dict[str, torch.Tensor]:
    state = content
    if isinstance(content, dict) and isinstance(
        content.get('state_dict'), dict
    ):
        state = content['state_dict']
    if not isinstance(state, dict):
        raise ValueError(
            f'load_from="{path}" holds a {type(state).__name__}, not a dict '
            'with weights: save network.state_dict() instead'
        )
    return _countable({k.removeprefix('module.'): state[k] for k in state})


def _countable(state: _Weights) -> dict[str, torch.Tensor]:
    """Return the tensors without the counters of batch norms."""
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, torch.Tensor)
        and not key.endswith('num_batches_tracked')
    }


def _count_fitting(own: _Weights, saved: _Weights, prefix: str = '') -> int:
    return sum(
        prefix + key in own and own[prefix + key].shape == value.shape
        for key, value in saved.items()
    )


def _enough(
    fitting: int, own: _Weights, saved: _Weights, partial: bool
) -> bool:
    if partial:
        return fitting > 0
    return 0 < min(len(own), len(saved)) <= 2 * fitting


def _count_converted(model: nn.Module, saved: _Weights, total: int) -> int:
    """Count what fits after the conversions that networks bring along.

    What is loaded for that is initialised and loaded anew by the run.
    """
    try:
        result = model.load_state_dict(dict(saved), strict=False)
    except RuntimeError:  # other shapes
        return 0
    missing = [k for k in result.missing_keys if 'num_batches' not in k]
    return max(total - len(missing), 0)


def _cure(
    model: nn.Module, own: _Weights, saved: _Weights, path: str, fitting: int
) -> str:
    """Return what is nearest to what was meant."""
    init = f'init_cfg=dict(type="Pretrained", checkpoint="{path}")'
    best, prefix = _best_prefix(own, saved)
    if best > max(fitting, len(saved) // 2):
        part = f'model.{prefix}'.removesuffix('.')
        if prefix.startswith('cohort.peers.'):
            part = 'every dict of model.cohort.peers'
        return f'It is of the part "{prefix[:-1]}" alone: set {init} in {part}'
    best, prefix = _best_prefix(saved, own)
    if best > max(fitting, len(own) // 2):
        tool = 'tools/export_student.py'
        if prefix == 'backbone.':
            tool = 'tools/publish_backbone.py'
        return (
            f'It holds this network below "{prefix}": write that alone with '
            f'{tool}, or set {init[:-1]}, prefix="{prefix}") in model'
        )
    other = [k for k in saved if k in own and own[k].shape != saved[k].shape]
    shapes = ''
    if other:
        key = other[0]
        shapes = (
            f'{len(other)} have another shape, e.g. {key} '
            f'{tuple(saved[key].shape)} instead of {tuple(own[key].shape)}. '
        )
    return (
        f'{shapes}Give the file of this network'
        + (f', or set {OPTION}=True to take what fits' if fitting else '')
        + f'. The file has {_some(saved)}, the model {_some(own)}'
    )


def _best_prefix(own: _Weights, saved: _Weights) -> tuple[int, str]:
    """Return how many tensors fit below the best prefix of ``own``."""
    prefixes = set()
    for key in own:
        parts = key.split('.')
        prefixes |= {'.'.join(parts[:n]) + '.' for n in (1, 2, 3)}
    counts = {p: _count_fitting(own, saved, p) for p in sorted(prefixes)}
    best = max(counts, key=lambda p: counts[p], default='')
    return counts.get(best, 0), best


def _some(state: _Weights) -> str:
    names = list(state)
    return ', '.join(names[:2]) + (', ...' if len(names) > 2 else '')
