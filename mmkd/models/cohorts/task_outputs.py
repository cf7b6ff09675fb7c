"""Task loss and predictions of outputs that no single network gave.

Auxiliary classifiers and the ensemble are judged as if the head of a network
had given their output: its own ``loss`` and ``predict`` are called, with a
head that answers with the given tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_HEADS = ('decode_head', 'head')


def main_head(network: nn.Module) -> Any:
    """Return the head whose output is the network's, or None.

    Classification, segmentation and pose networks have one; the predictions
    of detectors cannot be averaged, and cascades have several heads.
    """
    for key in _HEADS:
        head = getattr(network, key, None)
        if hasattr(head, 'predict'):
            return head
    return None


@contextmanager
def head_answers(
    head: nn.Module, answer: Callable[..., Any]
) -> Iterator[None]:
    """Let ``head`` return ``answer(...)`` during the ``with`` block."""
    head.forward = answer
    try:
        yield
    finally:
        del head.forward


@contextmanager
def outputs_kept(head: nn.Module) -> Iterator[list[Any]]:
    """Collect what ``head`` returns, call by call.

    Some heads call their ``forward`` directly, so hooks would not do.
    """
    kept: list[Any] = []
    forward = head.forward

    def keep(*args: Any, **kwargs: Any) -> Any:
        kept.append(forward(*args, **kwargs))
        return kept[-1]

    with head_answers(head, keep):
        yield kept


def loss_of_output(
    network: nn.Module, output: Any, data_samples: list
) -> torch.Tensor:
    """Return the task loss of ``output``, by the head of ``network``.

    Args:
        network: of mmpretrain, mmsegmentation or mmpose.
        output: of its head's shape, e.g. logits (N, K).
        data_samples: with labels.

    Returns:
        Scalar: the sum of the head's losses.

    Raises:
        TypeError: the network has no such head.
    """
    head = main_head(network)
    if head is None:
        raise TypeError(
            f'{type(network).__name__} has no head whose loss an auxiliary '
            'classifier could use; use an exchange without one'
        )
    config = getattr(network, 'train_cfg', None)
    with head_answers(head, lambda *args, **kwargs: output):
        if hasattr(network, 'decode_head'):
            losses = head.loss(output, data_samples, config)
        elif hasattr(network, 'test_cfg'):
            losses = head.loss(output, data_samples, train_cfg=config or {})
        else:
            losses = head.loss((output,), data_samples)
    values = [value for key, value in losses.items() if 'loss' in key]
    return torch.stack(
        [torch.as_tensor(value).sum() for value in values]
    ).sum()


def predictions_of_outputs(
    network: nn.Module,
    inputs: torch.Tensor,
    data_samples: list | None,
    outputs: list[Any],
) -> Any:
    """Run the network's ``predict`` on given outputs of its head.

    Args:
        network: its pre- and post-processing is used (sliding windows,
            flipped copies, resizing).
        inputs: (N, C, H, W).
        data_samples: of the batch.
        outputs: what the head answers, call by call.

    Returns:
        What ``network.predict`` returns.
    """
    head = main_head(network)
    if head is None:
        raise TypeError(f'{type(network).__name__} has no single head')
    answers = iter(outputs)
    network.extract_feat = lambda images, *a, **k: images  # type: ignore
    try:
        with head_answers(head, lambda *args, **kwargs: next(answers)):
            return network(inputs, data_samples, mode='predict')
    finally:
        del network.extract_feat
