"""Predictions of a cohort: every peer, classifier and the mean, one pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch

from mmkd.head_outputs import (
    final_output,
    outputs_kept,
    predictions_of_outputs,
)
from mmkd.models.cohorts.sharing import SharedRun
from mmkd.models.distillers.batch import Batch
from mmkd.models.distillers.exchange_parts import ExchangePart
from mmkd.models.distillers.role import Role
from mmkd.models.exchanges.transfer import mean_of
from mmkd.taps import Record
from mmkd.tasks import main_head


def predict_all(
    peers: Sequence[Role],
    shared: SharedRun,
    exchanges: Sequence[ExchangePart],
    inputs: torch.Tensor,
    data_samples: list,
    followers: Sequence[Role] = (),
) -> dict[str, list]:
    """Return the predictions of all, by name.

    Every network runs once. An auxiliary classifier and the mean of the
    peers (``'ensemble'``, of their heads' raw outputs) pass through the
    post-processing of peer 0.

    Args:
        peers: of a cohort.
        shared: what they share.
        exchanges: that may have auxiliary classifiers.
        inputs: (N, C, H, W).
        data_samples: N samples; they stay as they are.
        followers: evaluated beside the peers.

    Returns:
        ``'peer0'``, ..., label of a follower, auxiliary classifier,
        ``'ensemble'`` -> data samples.
    """
    found: dict[str, list] = {}
    outputs: list[list[Any]] = []
    records: dict[str, Record] = {}

    def fresh() -> list:
        return [sample.new() for sample in data_samples]

    with ExitStack() as stack:
        with shared.active() as sharing:
            for role in peers:
                sharing.next_peer()
                records[role.label] = stack.enter_context(
                    role.taps.recording()
                )
                head = main_head(role.network)
                kept = stack.enter_context(outputs_kept(head)) if head else []
                found[role.label] = role.network(
                    inputs, fresh(), mode='predict'
                )
                outputs.append([final_output(head, value) for value in kept])
        for role in followers:
            records[role.label] = stack.enter_context(role.taps.recording())
            found[role.label] = role.network(inputs, fresh(), mode='predict')

    def judge(name: str, answers: list[Any]) -> None:
        found[name] = predictions_of_outputs(
            peers[0].network, inputs, fresh(), answers
        )

    calls = len(outputs[0])
    batch = Batch(None, inputs.device)
    roles = [*peers, *followers]
    for exchange in exchanges:
        if not exchange.exchange.auxiliary_names:
            continue
        logits: dict[str, list[Any]] = {}
        for call in range(calls):
            tensors = {
                role.label: role.named(records[role.label].call(call))
                for role in roles
            }
            for name, value in exchange.auxiliary(tensors, batch).items():
                logits.setdefault(name, []).append(value)
        for name, answers in logits.items():
            judge(name, answers)
    if calls and _alike(outputs):
        judge(
            'ensemble',
            [
                mean_of([kept[call] for kept in outputs])
                for call in range(calls)
            ],
        )
    return found


def _alike(outputs: list[list[Any]]) -> bool:
    """Return whether the peers' outputs can be averaged."""
    shapes = [
        [
            value.shape if isinstance(value, torch.Tensor) else None
            for value in kept
        ]
        for kept in outputs
    ]
    return None not in shapes[0] and all(s == shapes[0] for s in shapes)
