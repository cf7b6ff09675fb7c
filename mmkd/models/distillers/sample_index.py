"""The index of every sample of a batch, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

#: that many samples are remembered at most
REMEMBERED = 200_000


class SampleIndex:
    """Reads ``sample_idx`` of data samples.

    `SampleIndexHook` knows the data set and says whether to trust it.
    Without that hook, samples are compared with those seen before: the same
    index with another image path or class is refused.
    """

    def __init__(self) -> None:
        self._trusted = False
        self._reason = ''
        self._seen: dict[int, int] = {}

    def accept(self) -> None:
        """Trust it."""
        self._trusted, self._reason = True, ''
        self._seen.clear()

    def refuse(self, reason: str) -> None:
        """Refuse every step that asks for it."""
        self._trusted, self._reason = False, reason

    def __call__(self, data_samples: Sequence[Any] | None) -> torch.Tensor:
        """Return the index of every sample, (N,) int64.

        Raises:
            ValueError: the samples do not carry it, or different samples
                share one.
        """
        found = [s.metainfo.get('sample_idx') for s in data_samples or ()]
        if not found or any(index is None for index in found):
            raise ValueError(
                'a loss asks for "sample_idx", but the data samples do not '
                'carry it: add "sample_idx" to meta_keys of the pack '
                'transform at the end of train_pipeline'
            )
        if self._reason:
            raise ValueError(f'a loss asks for "sample_idx": {self._reason}')
        if not self._trusted:
            self._compare(found, data_samples or ())
        return torch.tensor(found, dtype=torch.long)

    def _compare(self, found: list[int], samples: Sequence[Any]) -> None:
        for index, sample in zip(found, samples, strict=True):
            own = _identity(sample)
            if own is None:
                continue
            if len(self._seen) < REMEMBERED:
                self._seen.setdefault(index, own)
            if self._seen.get(index, own) != own:
                raise ValueError(
                    f'a loss asks for "sample_idx", but sample_idx={index} '
                    'stands for different samples: the indices count a part '
                    'of train_dataloader.dataset (a ConcatDataset?); write '
                    "type='mmkd.IndexedConcatDataset' instead"
                )


def _identity(sample: Any) -> int | None:
    """Return what differs between samples, without waiting for a GPU."""
    path = sample.metainfo.get('img_path')
    if path is not None:
        return hash(str(path))
    label = sample.get('gt_label')
    if isinstance(label, torch.Tensor) and label.device.type == 'cpu':
        return hash(tuple(label.tolist()))
    return None
