"""The images that a network sees in a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmkd.taps import Record
from mmkd.tasks import has_own_loss, stack_labels


@dataclass(frozen=True)
class View:
    """What one network is shown.

    Args:
        images: (V, C, H, W).
        labels: (V,) of a view set, or None.
        rows: which images carry the task loss; None is all.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    rows: slice | None = None

    def task_loss(
        self, network: Any, data_samples: list | None, record: Record
    ) -> dict[str, Any]:
        """Return the network's own losses; none of one without a head.

        With ``rows``, the features are computed once for all images; the
        network's own ``loss`` then reads those of the rows that carry
        labels, so only the heads run again.

        Args:
            network: has ``loss`` (and, with rows, ``extract_feat``).
            data_samples: of the rows.
            record: what the taps record (of the run on all images alone).
        """
        if not has_own_loss(network):
            network(self.images, None, mode='tensor')
            return {}
        if self.rows is None:
            return network(self.images, data_samples, mode='loss')
        extract: Any = network.extract_feat
        kept: list[Any] = []

        def extract_and_keep(inputs: Any, *args: Any, **kw: Any) -> Any:
            kept.append(extract(inputs, *args, **kw))
            return kept[-1]

        def kept_rows(inputs: Any, *args: Any, **kw: Any) -> Any:
            return _select(kept[0], self.rows)

        try:
            network.extract_feat = extract_and_keep
            network(self.images, None, mode='tensor')
            record.freeze()
            network.extract_feat = kept_rows
            images = self.images[self.rows]
            return network(images, data_samples, mode='loss')
        finally:
            del network.extract_feat


class ViewMaker:
    """Shows images through a view set, each batch once.

    Args:
        view_set: e.g. `RotationViews`; None shows the images as they are.
        data_samples: with labels, if there is a view set.
    """

    def __init__(
        self, view_set: nn.Module | None, data_samples: list | None
    ) -> None:
        self._view_set: Any = view_set
        self._data_samples = data_samples
        # the images are kept with their view: an id is that of a living one
        self._made: dict[int, tuple[torch.Tensor, View]] = {}

    def __call__(self, images: torch.Tensor) -> View:
        """Return the view of ``images``."""
        if id(images) not in self._made:
            self._made[id(images)] = images, self._make(images)
        return self._made[id(images)][1]

    @property
    def samples(self) -> list | None:
        """The samples that fit the images shown, or None."""
        return self._data_samples if self._view_set is None else None

    def _make(self, images: torch.Tensor) -> View:
        if self._view_set is None:
            return View(images)
        labels = stack_labels(self._data_samples).to(images.device)
        shown, joint = self._view_set(images, labels)
        return View(shown, joint, self._view_set.task_rows(len(images)))


def views_of_peers(
    inputs: torch.Tensor | Sequence[torch.Tensor],
    count: int,
    chosen: Sequence[int] | None = None,
) -> list[torch.Tensor]:
    """Return the images that each of ``count`` peers sees.

    Args:
        inputs: one batch, or one per view.
        count: number of peers.
        chosen: which view each peer sees; None is one for each.

    Raises:
        ValueError: there is another number of views than is needed.
    """
    if isinstance(inputs, torch.Tensor):
        return [inputs] * count
    needed = count if chosen is None else max(chosen) + 1
    if len(inputs) < needed or (chosen is None and len(inputs) != count):
        raise ValueError(
            f'the data pipeline gives {len(inputs)} views of each image, '
            + (
                f'the cohort has {count} peers'
                if chosen is None
                else f'model.peer_views={list(chosen)} needs {needed}'
            )
            + f': set num_views={needed} in the data preprocessor (or in the '
            'transform MultiView)'
        )
    return [inputs[k] for k in (range(count) if chosen is None else chosen)]


def require_views(inputs: Any, named: Mapping[str, int]) -> None:
    """Refuse fewer views of each image than the config names.

    Args:
        inputs: one batch, or one per view.
        named: key of the config -> index of the view that it names, negative
            ones from the end.

    Raises:
        ValueError: says how many views are needed.
    """
    given = 1 if isinstance(inputs, torch.Tensor) else len(inputs)
    for key, index in named.items():
        if index not in range(-given, given):
            needed = index + 1 if index >= 0 else -index
            raise ValueError(
                f'the data pipeline gives {given} view(s) of each image, but '
                f'{key} names view {index}: set num_views={needed} in the '
                'data preprocessor (or in the transform MultiView)'
            )


def view_of(
    inputs: torch.Tensor | Sequence[torch.Tensor], index: int, key: str
) -> torch.Tensor:
    """Return view ``index`` of a batch.

    Args:
        inputs: one batch, which has one view alone, or one per view.
        index: of the view, negative ones from the end.
        key: of the config that asks for it, for messages.

    Raises:
        ValueError: see `require_views`.
    """
    require_views(inputs, {key: index})
    return inputs if isinstance(inputs, torch.Tensor) else inputs[index]


def _select(feats: Any, rows: slice | None) -> Any:
    if isinstance(feats, torch.Tensor):
        return feats[rows]
    if isinstance(feats, (list, tuple)):
        return type(feats)(_select(entry, rows) for entry in feats)
    raise TypeError(
        f'views: extract_feat gives a {type(feats).__name__}, not tensors'
    )
