"""Distillation without a teacher: peers that teach each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.batch import CohortBatch
from mmkd.models.distillers.cohort_predictions import predict_all
from mmkd.models.distillers.online_build import (
    build_peer_heads,
    check_reads,
    peer_config,
)
from mmkd.models.distillers.online_dry_run import (
    cohort_spec,
    rehearse_peers,
    try_exchanges,
)
from mmkd.models.distillers.online_summary import summarize_cohort
from mmkd.models.distillers.phased_step import phased_step, require_phases
from mmkd.models.distillers.sides import named_tensors, names_needed
from mmkd.models.distillers.task_loss import loss_on_rows
from mmkd.models.exchanges.base import Exchange
from mmkd.networks import network_dict
from mmkd.registry import MODELS
from mmkd.taps import Taps, Tensors


@MODELS.register_module()
class OnlineDistiller(BaseDistiller):
    """Train a cohort of peers; any one of them is the result.

    loss = sum of the peers' own task losses + what the exchanges add. Every
    peer runs once per step and its ``loss`` is called unchanged.

    Args:
        cohort: dict of a `Cohort`.
        taps: name -> module path (see `mmkd.taps`), the same in all peers,
            or ``dict(peer0=..., peer1=...)``.
        aux_heads: name -> training-only module on the taps (or other heads)
            that its key ``on`` names; every peer has its own.
            ``in_channels`` is found by the dry run where it is left out.
        exchange: dict of an exchange, or a list of those.
        deploy: the peer that is evaluated and exported: an index (negative
            ones count from the end), ``'best'`` (on the validation data, by
            `BestPeerHook`), or the name of an auxiliary classifier.
        views: dict of a view set, e.g. `RotationViews`. A data preprocessor
            may also give a list of batches, one for each peer.
        task_weight: factor on the peers' task losses, or one per peer.
        evaluate_peers: let ``mode='predict'`` also give the predictions of
            all peers, auxiliary classifiers and the mean of the peers.
        data_preprocessor: defaults to the first peer's.
        dry_run, input_shape, check_labels, check_finite, init_cfg: see
            `OfflineDistiller`.

    Raises:
        ValueError, TypeError, KeyError, FileNotFoundError: a part of the
            config does not fit; the message names the key and the cure.
    """

    #: set by `PhasedDistributedDataParallel`, which runs the whole step
    wrapped = False

    def __init__(
        self,
        cohort: Any,
        taps: Mapping[str, Any] | None = None,
        aux_heads: Mapping[str, Any] | None = None,
        exchange: Any = None,
        deploy: int | str = 0,
        views: Mapping[str, Any] | None = None,
        task_weight: float | Sequence[float] = 1.0,
        evaluate_peers: bool = True,
        data_preprocessor: Any = None,
        dry_run: bool = True,
        input_shape: Sequence[int] | None = None,
        check_labels: bool = True,
        check_finite: bool = True,
        init_cfg: dict | None = None,
        **unexpected: Any,
    ) -> None:
        self.refuse_network_keys(unexpected)
        cohort = _build_cohort(cohort, data_preprocessor)
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = getattr(cohort[0], 'data_preprocessor', None)
        super().__init__(data_preprocessor, check_labels, init_cfg)
        self.cohort = cohort
        self.check_finite = check_finite
        self.evaluate_peers = evaluate_peers
        self.task_weights = _weights(task_weight, len(cohort))
        self.views: Any = ROOT_MODELS.build(dict(views)) if views else None

        given = exchange if isinstance(exchange, (list, tuple)) else [exchange]
        self.exchanges = ModuleList(
            config
            if isinstance(config, nn.Module)
            else ROOT_MODELS.build(dict(config))
            for config in given
            if config is not None
        )
        taps, aux = dict(taps or {}), dict(aux_heads or {})
        check_reads(self.exchanges, taps, aux)
        self.wanted = list(
            dict.fromkeys(n for e in self.exchanges for n in e.on.values())
        )
        self.taps = [
            Taps(peer, peer_config('taps', taps, k, len(cohort)))
            for k, peer in enumerate(cohort.peers)
        ]
        report = rehearse_peers(self, input_shape) if dry_run else None
        self.aux_configs, self.aux_heads = build_peer_heads(
            aux, names_needed(self.wanted, aux)[1], cohort, report
        )
        spec = cohort_spec(self, report)
        for part in self.exchanges:
            part.setup(spec.of(part.on))
        self._set_deploy(deploy)
        if report is not None:
            try_exchanges(self, report)
        print_log(summarize_cohort(self, report), logger='current')

    def _set_deploy(self, deploy: int | str) -> None:
        names = [name for e in self.exchanges for name in e.auxiliary_names]
        count = len(self.cohort)
        if isinstance(deploy, str) and deploy not in ('best', *names):
            raise ValueError(
                f"deploy='{deploy}' is neither 'best' nor an auxiliary "
                f'classifier of the exchange ({", ".join(names) or "none"}); '
                f'give a peer index from 0 to {count - 1}'
            )
        if not isinstance(deploy, str) and not -count <= deploy < count:
            raise ValueError(
                f'deploy={deploy}: the cohort has {count} peers; give an '
                f'index from 0 to {count - 1}, or a negative one from the '
                'end'
            )
        self.deploy = deploy
        fixed = range(count)[deploy] if isinstance(deploy, int) else 0
        if deploy in names:
            fixed = -1
        self.register_buffer('deployed_peer', torch.tensor(fixed))

    # -- properties ---------------------------------------------------------

    @property
    def deployed_index(self) -> int:
        """Index of the peer that is evaluated and exported.

        Raises:
            ValueError: an auxiliary classifier is deployed instead.
        """
        if int(self.deployed_peer) < 0:
            raise ValueError(
                f"deploy='{self.deploy}' is an auxiliary classifier of all "
                'peers, which is no network of its own: set deploy to a peer '
                'index to use or export one'
            )
        return int(self.deployed_peer)

    @property
    def deployed(self) -> nn.Module:
        """The peer that is evaluated and exported."""
        return self.cohort[self.deployed_index]

    def set_best_peer(self, index: int) -> None:
        """Deploy peer ``index`` from now on (``deploy='best'``)."""
        if self.deploy != 'best':
            raise ValueError(
                f"deploy={self.deploy!r} is fixed; set deploy='best' to let "
                'the validation choose'
            )
        self.deployed_peer.fill_(index)

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases of the step after the common one, with own optimizers."""
        return tuple(phase for e in self.exchanges for phase in e.phases)

    # -- a step -------------------------------------------------------------

    def loss(self, inputs: Any, data_samples: list | None) -> dict:
        """Return the task losses and the exchanges' losses of a batch.

        Shape:
            inputs: (N, C, H, W), or a list of those, one per peer.
            returns: log name -> scalar.
        """
        require_phases(self)
        return self.losses_by_phase(inputs, data_samples)[None]

    def losses_by_phase(
        self, inputs: Any, data_samples: list | None
    ) -> dict[str | None, dict[str, Any]]:
        """Return the losses of every phase; None is the common one."""
        self.validate_labels(self.cohort[0], data_samples)
        views = self._views_of_peers(inputs)
        losses, learned, view_labels = self._run_peers(views, data_samples)
        batch = CohortBatch(
            data_samples, views[0].device, view_labels, self.cohort[0]
        )
        by_phase: dict[str | None, dict[str, Any]] = {None: losses}
        sources = {name: {'images': views[0]} for name in losses}
        for number, exchange in enumerate(self.exchanges):
            peers = roles_of(exchange, learned)
            for phase in (None, *exchange.phases):
                target = by_phase.setdefault(phase, {})
                for name, value in exchange(peers, batch, phase).items():
                    key = f'{name}_{number}' if name in target else name
                    target[key] = value
                    sources[key] = {
                        f'peer{k} {role}': tensor
                        for k, roles in enumerate(peers)
                        for role, tensor in roles.items()
                    }
        if self.check_finite:
            for terms in by_phase.values():
                self.require_finite(
                    {k: v for k, v in terms.items() if 'loss' in k}, sources
                )
        return by_phase

    def _views_of_peers(self, inputs: Any) -> list[torch.Tensor]:
        if isinstance(inputs, torch.Tensor):
            return [inputs] * len(self.cohort)
        if len(inputs) != len(self.cohort):
            raise ValueError(
                f'the data pipeline gives {len(inputs)} views of each image, '
                f'the cohort has {len(self.cohort)} peers: set num_views='
                f'{len(self.cohort)} in the data preprocessor (or in the '
                'transform MultiView)'
            )
        return list(inputs)

    def _run_peers(
        self, views: list[torch.Tensor], data_samples: list | None
    ) -> tuple[dict[str, Any], list[dict[str, Tensors]], Any]:
        """Run every peer on its view, shared trunks once per view."""
        losses: dict[str, Any] = {}
        learned = []
        labels = None
        with self.cohort.sharing.active() as sharing:
            for index, peer in enumerate(self.cohort.peers):
                sharing.next_peer(id(views[index]))
                with self.taps[index].recording() as record:
                    if self.views is None:
                        own = peer(views[index], data_samples, mode='loss')
                    else:
                        own, labels = self._run_rotated(
                            peer, views, index, data_samples, record
                        )
                learned.append(self.named_tensors(index, record))
                weight = self.task_weights[index]
                for key, value in own.items():
                    # mmengine logs the sum of all losses as "loss".
                    name = 'loss_task' if key == 'loss' else key
                    if 'loss' in key and weight != 1.0:
                        value = _scaled(value, weight)
                    losses[f'peer{index}.{name}'] = value
        return losses, learned, labels

    def _run_rotated(
        self,
        peer: nn.Module,
        views: list[torch.Tensor],
        index: int,
        data_samples: list | None,
        record: Any,
    ) -> tuple[dict[str, Any], torch.Tensor]:
        batch = CohortBatch(data_samples, views[index].device)
        if index == 0 or views[index] is not views[0]:
            self._rotated = self.views(views[index], batch['labels'])
        images, labels = self._rotated
        rows = self.views.task_rows(len(data_samples or ()))
        return loss_on_rows(peer, images, data_samples, rows, record), labels

    def named_tensors(self, index: int, record: Any) -> dict[str, Tensors]:
        """Return taps and auxiliary heads' outputs of peer ``index``."""
        return named_tensors(
            record,
            self.aux_heads[index],
            self.aux_configs[index],
            self.wanted,
        )

    def train_step(self, data: Any, optim_wrapper: Any) -> dict:
        """Run one step; several phases each with their own optimizer."""
        if self.phases:
            return phased_step(self, data, optim_wrapper)
        logs = super().train_step(data, optim_wrapper)
        self.after_step()
        return logs

    def after_step(self) -> None:
        """Let the exchanges act after the optimizers' steps."""
        for exchange in self.exchanges:
            exchange.after_step(self)

    # -- prediction ---------------------------------------------------------

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run one step in ``mode``: ``'loss'``, ``'predict'``, ``'tensor'``.

        ``'predict'`` gives the data samples of what is deployed; with
        ``evaluate_peers`` each has a field ``peer_samples``: name
        (``'peer0'``, ..., an auxiliary classifier, ``'ensemble'``) -> data
        sample.
        """
        auxiliary = isinstance(self.deploy, str) and self.deploy != 'best'
        every = self.evaluate_peers or auxiliary
        if mode == 'predict' and data_samples is not None and every:
            return predict_all(self, inputs, data_samples)
        return super().forward(inputs, data_samples, mode)


def roles_of(
    exchange: Exchange, learned: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what an exchange reads: per peer, role -> tensor."""
    return [
        {role: tensors[name] for role, name in exchange.on.items()}
        for tensors in learned
    ]


def _build_cohort(cohort: Any, data_preprocessor: Any) -> Cohort:
    if isinstance(cohort, Cohort):
        return cohort
    config = dict(cohort)
    config.setdefault('type', 'mmkd.Cohort')
    if isinstance(data_preprocessor, Mapping):
        # Each repository completes the dict of its networks in its way.
        peers = [network_dict(peer) for peer in config['peers']]
        for peer in peers:
            peer['data_preprocessor'] = data_preprocessor
        config['peers'] = peers
    return ROOT_MODELS.build(config)


def _weights(weight: float | Sequence[float], count: int) -> list[float]:
    weights = (
        [float(weight)] * count
        if isinstance(weight, (int, float))
        else [float(value) for value in weight]
    )
    if len(weights) != count:
        raise ValueError(
            f'task_weight={list(weights)} has {len(weights)} entries, the '
            f'cohort has {count} peers: give one number, or one per peer'
        )
    return weights


def _scaled(value: Any, weight: float) -> Any:
    if isinstance(value, (list, tuple)):
        return [entry * weight for entry in value]
    return value * weight
