"""Errors of a pipeline that name the sample and the transform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset, Compose

from mmkd.datasets.bad_samples import (
    BadSamplePolicy,
    SampleMarks,
    skip_or_stop,
)
from mmkd.datasets.file_faults import (
    describe_unreadable,
    image_fault,
    label_map_fault,
)
from mmkd.datasets.label_values import unknown_labels

_MOST = 3
_IMAGE, _LABELS = 'img_path', 'seg_map_path'


class NamingCompose(Compose):
    """mmengine's ``Compose``, whose errors name files and transform.

    Raises:
        ValueError: instead of what a transform raised.
    """

    policy = BadSamplePolicy(check_files=False)
    marks: SampleMarks | None = None
    #: whether seg_map_path is a map of class numbers, of the image's size
    label_maps = False
    #: class number of the label maps, and the number that is no class
    known_labels: tuple[int, int] | None = None

    def __call__(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return the transformed sample; None if a transform gives up.

        None also stands for a sample that is skipped (`BadSamplePolicy`).
        """
        if self.marks is None:
            return self._transformed(data, _files_of(data))
        info = dict(data)
        files = _files_of(info)
        try:
            first = self.marks.first_time(info, files)
            if self.policy.check_files and first:
                _check_files(info, self.label_maps)
            result = self._transformed(data, files)
            if self.policy.check_files and self.known_labels is not None:
                _check_labels(result, files, *self.known_labels)
            return result
        except Exception as error:
            if not self.policy.max_skipped:
                raise
            new, count = self.marks.add_bad(info, files)
            skip_or_stop(error, new, count, self.policy)
            return None

    def _transformed(
        self, data: dict[str, Any], files: str
    ) -> dict[str, Any] | None:
        path = _local(data, _IMAGE)
        result: Any = data
        for transform in self.transforms:
            try:
                result = transform(result)
            except Exception as error:
                if type(transform).__module__.startswith('mmkd.'):
                    raise  # it says what is wrong
                why = describe_unreadable(path) if path else None
                why = why or f'{type(error).__name__}: {_text(error)}'
                raise ValueError(
                    f'{_name(transform)} of the pipeline cannot read a sample '
                    f'({files}): {why}'
                ) from error
            if result is None:
                return None
        return result


def name_samples(dataset: Any, policy: BadSamplePolicy | None = None) -> None:
    """Let the pipelines of a data set, and of those inside, name samples.

    Args:
        dataset: of a data loader; changed in place.
        policy: for samples that cannot be read.
    """
    pipeline = getattr(dataset, 'pipeline', None)
    if type(pipeline) is Compose:
        pipeline.__class__ = NamingCompose
        if policy is not None and isinstance(dataset, BaseDataset):
            _set_policy(pipeline, dataset, policy)
    inner = getattr(dataset, 'dataset', None)
    for part in [inner, *_list(getattr(dataset, 'datasets', None))]:
        if part is not None:
            name_samples(part, policy)


def _set_policy(
    pipeline: Any, dataset: BaseDataset, policy: BadSamplePolicy
) -> None:
    if dataset.test_mode:  # a metric over fewer samples is another one
        policy = BadSamplePolicy(check_files=policy.check_files)
    pipeline.policy = policy
    pipeline.marks = SampleMarks(len(dataset))
    classes = dataset.metainfo.get('classes')
    pipeline.label_maps = hasattr(dataset, 'reduce_zero_label')  # mmseg's
    if classes and pipeline.label_maps:
        ignored = getattr(dataset, 'ignore_index', 255)
        pipeline.known_labels = (len(classes), ignored)


def _check_files(data: Mapping[str, Any], label_maps: bool) -> None:
    """Refuse a sample by its files.

    Raises:
        ValueError: names the file, and what is wrong with it.
    """
    image, labels = _local(data, _IMAGE), _local(data, _LABELS)
    path, fault = image, image_fault(image) if image else None
    if labels and not fault:
        path = labels
        fault = (
            label_map_fault(labels, image)
            if label_maps
            else image_fault(labels)
        )
    if fault:
        raise ValueError(
            f'the file {path} of a sample cannot be used: {fault}; mend '
            'or remove it, or set bad_samples=dict(max_skipped=...) to '
            'train without a few (check_files=False reads it as it is)'
        )


def _check_labels(result: Any, files: str, classes: int, ignored: int) -> None:
    """Refuse a sample by the class numbers of its label map.

    Raises:
        ValueError: names the file and the numbers.
    """
    unknown = unknown_labels(result, classes, ignored)
    if unknown:
        raise ValueError(
            f'a sample ({files}) has the labels {unknown}, but its data set '
            f'has {classes} classes, 0 to {classes - 1}, and {ignored} for '
            'none: mend the file, or set metainfo.classes of the data set'
        )


def _local(data: Any, key: str) -> str | None:
    """Return the path of a file on this machine, or None."""
    path = data.get(key) if isinstance(data, Mapping) else None
    if isinstance(path, str) and Path(path).is_file():
        return path
    return None


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
