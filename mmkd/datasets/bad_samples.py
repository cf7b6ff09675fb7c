"""The policy for samples that cannot be read: stop, or skip a few."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any
from zlib import crc32

import torch
from mmengine.logging import print_log

#: key of a config
KEY = 'bad_samples'
_CHECKED, _BAD = 1, 2


@dataclass(frozen=True)
class BadSamplePolicy:
    """What is done about samples that cannot be read.

    Args:
        max_skipped: so many of a data set are left out of the training,
            another one being taken; the next one stops the run. Validation
            leaves out none.
        check_files: look at every file once before it is read: cut off, too
            large, label maps of another size than their image, or with
            numbers that are no class.

    Raises:
        TypeError, ValueError: values of another kind, or out of range.
    """

    max_skipped: int = 0
    check_files: bool = True

    def __post_init__(self) -> None:
        number = self.max_skipped
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(
                f'{KEY}.max_skipped={number!r}: set a whole number, 0 to '
                'stop at the first sample that cannot be read'
            )
        if number < 0:
            raise ValueError(
                f'{KEY}.max_skipped={number}: set 0 or more samples'
            )
        if not isinstance(self.check_files, bool):
            raise TypeError(
                f'{KEY}.check_files={self.check_files!r}: set True or False'
            )

    @classmethod
    def of(cls, given: Any) -> BadSamplePolicy:
        """Return the policy of a config.

        Raises:
            TypeError, KeyError: names the key of the config.
        """
        if given is None:
            return cls()
        known = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping):
            raise TypeError(
                f'{KEY}={given!r}: write {KEY}=dict(max_skipped=10)'
            )
        for key in given:
            if key not in known:
                raise KeyError(
                    f'{KEY} has the unknown key "{key}"; it knows '
                    f'{", ".join(known)}'
                )
        return cls(**given)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let data sets that open files when they are built follow it."""
        token = _APPLIED.set(self)
        try:
            yield
        finally:
            _APPLIED.reset(token)


_APPLIED: ContextVar[BadSamplePolicy | None] = ContextVar(KEY, default=None)


def applied_policy() -> BadSamplePolicy:
    """Return the policy that a tool has set, else that of stopping."""
    return _APPLIED.get() or BadSamplePolicy()


class SampleMarks:
    """Which samples of a data set were checked, and which are bad.

    One byte for each, shared by all workers of a data loader.

    Args:
        number: of samples.
    """

    def __init__(self, number: int) -> None:
        self._bytes = torch.zeros(max(number, 1), dtype=torch.uint8)
        self._bytes.share_memory_()

    def _row(self, data: Mapping[str, Any], files: str) -> int:
        index = data.get('sample_idx')
        if not isinstance(index, int):
            index = crc32(files.encode())
        return index % len(self._bytes)

    def first_time(self, data: Mapping[str, Any], files: str) -> bool:
        """Whether a sample was not asked for before; it is from now on."""
        row = self._row(data, files)
        first = not int(self._bytes[row])
        if first:
            self._bytes[row] = _CHECKED
        return first

    def add_bad(self, data: Mapping[str, Any], files: str) -> tuple[bool, int]:
        """Mark a sample as bad.

        Returns:
            Whether it was not before, and how many there are.
        """
        row = self._row(data, files)
        new = int(self._bytes[row]) != _BAD
        self._bytes[row] = _BAD
        return new, int((self._bytes == _BAD).sum())


def skip_or_stop(
    error: Exception, new: bool, count: int, policy: BadSamplePolicy
) -> None:
    """Note a bad sample, or stop the run by raising again.

    Args:
        error: names the sample.
        new: whether it was found now.
        count: of bad samples of the data set.
        policy: of the config.

    Raises:
        ValueError: there are more than the policy allows.
    """
    if not policy.max_skipped:
        raise error
    if count > policy.max_skipped:
        raise ValueError(
            f'{error}; {count - 1} samples of this data set were skipped '
            f'before, as many as {KEY}.max_skipped={policy.max_skipped} allows'
        ) from error
    if new:
        print_log(
            f'skipped ({count} of at most {policy.max_skipped}): {error}',
            logger='current',
            level=logging.WARNING,
        )
