"""Heads that only training runs, run without labels, too."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import nn

from mmkd.head_outputs import head_answers


@contextmanager
def auxiliary_heads_run(
    network: nn.Module, paths: Iterable[str]
) -> Iterator[None]:
    """Run auxiliary heads of a segmentation network without labels, too.

    Such networks run them only for their own losses; a teacher has none.

    Args:
        network: nothing changes for others than ``EncoderDecoder``.
        paths: of tapped modules; heads without any are left out.
    """
    heads: Any = getattr(network, 'auxiliary_head', None)
    extract: Any = getattr(network, 'extract_feat', None)
    tapped = any(path.startswith('auxiliary_head') for path in paths)
    if heads is None or extract is None or not tapped:
        yield
        return

    def extract_and_run(images: torch.Tensor) -> Any:
        feats = extract(images)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            head(feats)
        return feats

    network.extract_feat = extract_and_run  # type: ignore[assignment]
    try:
        yield
    finally:
        del network.extract_feat


@contextmanager
def query_head_runs(network: nn.Module) -> Iterator[None]:
    """Let heads of mask queries run without samples, too.

    mmsegmentation's Mask2Former gives its head none in ``mode='tensor'``,
    which asks for them, but reads no more than their number.

    Args:
        network: nothing changes for others.
    """
    head: Any = getattr(network, 'decode_head', None)
    forward: Any = getattr(head, 'forward', None)
    known = inspect.signature(forward).parameters if forward else {}
    if 'batch_data_samples' not in known:
        yield
        return

    def answer(feats: Any, samples: Any = None) -> Any:
        return forward(feats, samples or [BaseDataElement() for _ in feats[0]])

    with head_answers(head, answer):
        yield
