"""Predictions of a cohort: every peer, classifier and the mean, one pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from mmkd.models.cohorts.task_outputs import (
    main_head,
    outputs_kept,
    predictions_of_outputs,
)
from mmkd.models.distillers.batch import CohortBatch
from mmkd.models.distillers.online_step import roles_of
from mmkd.models.exchanges.transfer import mean_of
from mmkd.taps import Record

if TYPE_CHECKING:
    from mmkd.models.distillers.online import OnlineDistiller


def predict_all(
    distiller: OnlineDistiller, inputs: torch.Tensor, data_samples: list
) -> list:
    """Return the deployed predictions with all others beside them.

    Every network runs once. An auxiliary classifier and the mean of the
    peers (``'ensemble'``, of their heads' raw outputs) pass through the
    post-processing of peer 0.

    Returns:
        Data samples with a field ``peer_samples``: name -> data sample.
    """
    cohort = distiller.cohort
    found: dict[str, list] = {}
    outputs: list[list[Any]] = []
    records: list[Record] = []
    with cohort.sharing.active() as sharing, ExitStack() as stack:
        for index, peer in enumerate(cohort.peers):
            sharing.next_peer()
            record = stack.enter_context(distiller.taps[index].recording())
            head = main_head(peer)
            kept = stack.enter_context(outputs_kept(head)) if head else []
            samples = [sample.new() for sample in data_samples]
            found[f'peer{index}'] = peer(inputs, samples, mode='predict')
            outputs.append(kept)
            records.append(record)

    def judge(name: str, answers: list[Any]) -> None:
        samples = [sample.new() for sample in data_samples]
        found[name] = predictions_of_outputs(
            cohort[0], inputs, samples, answers
        )

    calls = len(outputs[0])
    for name, answers in _auxiliary(distiller, inputs, records, calls).items():
        judge(name, answers)
    if calls and _alike(outputs):
        judge(
            'ensemble',
            [
                mean_of([kept[call] for kept in outputs])
                for call in range(calls)
            ],
        )
    return _attach(distiller, found)


def _auxiliary(
    distiller: OnlineDistiller,
    inputs: torch.Tensor,
    records: list[Record],
    calls: int,
) -> dict[str, list[Any]]:
    """Return auxiliary logits, name -> one entry per call of the head."""
    batch = CohortBatch(None, inputs.device)
    logits: dict[str, list[Any]] = {}
    for exchange in distiller.exchanges:
        if not exchange.auxiliary_names:
            continue
        for call in range(calls):
            learned = [
                distiller.named_tensors(index, record.call(call))
                for index, record in enumerate(records)
            ]
            aux = exchange.auxiliary(roles_of(exchange, learned), batch)
            for name, value in aux.items():
                logits.setdefault(name, []).append(value)
    return logits


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


def _attach(distiller: OnlineDistiller, found: dict[str, list]) -> list:
    name = distiller.deploy
    if not isinstance(name, str) or name == 'best':
        name = f'peer{distiller.deployed_index}'
    chosen = [sample.new() for sample in found[name]]
    if distiller.evaluate_peers:
        for index, sample in enumerate(chosen):
            sample.set_field(
                {key: samples[index] for key, samples in found.items()},
                'peer_samples',
            )
    return chosen
