"""Outputs that no single network gave: auxiliary classifiers, ensembles.

They get the task loss and the predictions of a network's own head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mmkd.tasks import main_head, repository_of


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


def several_stages(head: Any) -> bool:
    """Return whether a head gives the heat maps of several stages.

    A ``CPMHead`` (of stacked hourglasses) returns a list; its loss is the sum
    over all, it predicts from the last.
    """
    return any(cls.__name__ == 'CPMHead' for cls in type(head).__mro__)


def final_output(head: Any, output: Any) -> Any:
    """Return what ``head`` predicts from: of several stages, the last."""
    return output[-1] if several_stages(head) else output


def _as_output(head: Any, output: Any) -> Any:
    """Return the `final_output` in the form of the head's own."""
    single = isinstance(output, torch.Tensor)
    return [output] if single and several_stages(head) else output


@contextmanager
def _last_stage_alone(head: Any, output: Any) -> Iterator[None]:
    """Let a head of several stages judge the output of one."""
    if not several_stages(head) or not isinstance(output, torch.Tensor):
        yield
        return
    count, losses = head.num_stages, head.loss_module
    head.num_stages = 1
    if isinstance(losses, nn.ModuleList):
        head.loss_module = losses[-1:]
    try:
        yield
    finally:
        head.num_stages, head.loss_module = count, losses


def loss_of_output(
    network: nn.Module, output: Any, data_samples: list
) -> torch.Tensor:
    """Return the task loss of ``output``, by the head of ``network``.

    Args:
        network: of mmpretrain, mmsegmentation or mmpose.
        output: of its head's shape, e.g. logits (N, K); of a head of several
            stages, that of all (a list) or of one.
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
    answer = _as_output(head, output)
    with (
        _last_stage_alone(head, output),
        head_answers(head, lambda *args, **kwargs: answer),
    ):
        if hasattr(network, 'decode_head'):
            losses = head.loss(answer, data_samples, config)
        elif repository_of(head) == 'mmpose':
            losses = head.loss(answer, data_samples, train_cfg=config or {})
        else:
            losses = head.loss((answer,), data_samples)
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
        outputs: what the head answers, call by call (of a head of several
            stages, what its last one does).

    Returns:
        What ``network.predict`` returns.

    Raises:
        TypeError: the network has no such head.
    """
    head = main_head(network)
    if head is None:
        raise TypeError(f'{type(network).__name__} has no single head')
    answers = iter([_as_output(head, output) for output in outputs])
    network.extract_feat = lambda images, *a, **k: images  # type: ignore
    try:
        with head_answers(head, lambda *args, **kwargs: next(answers)):
            return network(inputs, data_samples, mode='predict')
    finally:
        del network.extract_feat
