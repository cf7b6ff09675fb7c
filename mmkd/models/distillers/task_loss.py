"""The task loss of a network that sees several views of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmkd.taps import Record


def loss_on_rows(
    network: nn.Module,
    views: torch.Tensor,
    data_samples: list | None,
    rows: slice,
    record: Record,
) -> dict[str, Any]:
    """Run ``network`` on all views, and its task loss on some rows.

    The features are computed once, for all views; the network's own ``loss``
    then reads the rows that carry labels, so only the heads run again.

    Args:
        network: has ``extract_feat`` and ``loss``.
        views: (V, C, H, W).
        data_samples: N samples, of the rows in ``rows``.
        rows: which views carry the task loss.
        record: what the taps record (of the run on all views alone).

    Returns:
        The network's own losses.
    """
    extract: Any = network.extract_feat
    kept: list[Any] = []

    def extract_and_keep(inputs: torch.Tensor, *args: Any, **kw: Any) -> Any:
        feats = extract(inputs, *args, **kw)
        kept.append(feats)
        return feats

    def kept_rows(inputs: torch.Tensor, *args: Any, **kw: Any) -> Any:
        return _select(kept[0], rows)

    try:
        network.extract_feat = extract_and_keep  # type: ignore[assignment]
        network(views, None, mode='tensor')
        record.freeze()
        network.extract_feat = kept_rows  # type: ignore[assignment]
        return network(views[rows], data_samples, mode='loss')
    finally:
        del network.extract_feat


def _select(feats: Any, rows: slice) -> Any:
    if isinstance(feats, torch.Tensor):
        return feats[rows]
    if isinstance(feats, (list, tuple)):
        return type(feats)(_select(entry, rows) for entry in feats)
    raise TypeError(
        f'views: extract_feat gives a {type(feats).__name__}, not tensors'
    )
