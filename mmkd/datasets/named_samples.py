"""Errors of a pipeline that name the sample and the transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dataset import Compose

_MOST = 3


class NamingCompose(Compose):
    """mmengine's ``Compose``, whose errors name files and transform.

    Raises:
        ValueError: instead of what a transform raised.
    """

    def __call__(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return the transformed sample; None if a transform gives up."""
        files = _files_of(data)
        result: Any = data
        for transform in self.transforms:
            try:
                result = transform(result)
            except Exception as error:
                if type(transform).__module__.startswith('mmkd.'):
                    raise  # it says what is wrong
                raise ValueError(
                    f'{_name(transform)} of the pipeline cannot read a sample '
                    f'({files}): {type(error).__name__}: {_text(error)}'
                ) from error
            if result is None:
                return None
        return result


def name_samples(dataset: Any) -> None:
    """Let the pipelines of a data set, and of those inside, name samples."""
    pipeline = getattr(dataset, 'pipeline', None)
    if type(pipeline) is Compose:
        pipeline.__class__ = NamingCompose
    inner = getattr(dataset, 'dataset', None)
    for part in [inner, *_list(getattr(dataset, 'datasets', None))]:
        if part is not None:
            name_samples(part)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _files_of(data: Any) -> str:
    """Return the paths in a sample, or its index, as text."""
    if not isinstance(data, Mapping):
        return 'unknown'
    paths = [
        f'{key}={value}'
        for key, value in data.items()
        if isinstance(value, str) and (key.endswith('path') or 'file' in key)
    ]
    if not paths and 'sample_idx' in data:
        return f'sample_idx={data["sample_idx"]}'
    return ', '.join(paths[:_MOST]) or 'unknown'


def _name(transform: Any) -> str:
    return getattr(transform, '__name__', type(transform).__name__)


def _text(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args:
        return f'there is no "{error.args[0]}" in it'
    return ' '.join(str(error).split())
