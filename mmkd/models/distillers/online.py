"""Distillation without a teacher: peers that teach each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.batch import CohortBatch
from mmkd.models.distillers.cohort_predictions import predict_all
from mmkd.models.distillers.online_build import (
    build_cohort,
    build_exchanges,
    build_taps,
    names_read,
    require_one_preprocessor,
    weights_of,
)
from mmkd.models.distillers.online_dry_run import (
    cohort_spec,
    rehearse_peers,
    try_exchanges,
)
from mmkd.models.distillers.online_heads import build_peer_heads
from mmkd.models.distillers.online_step import (
    roles_of,
    run_peers,
    sources_of,
    views_of_peers,
)
from mmkd.models.distillers.online_summary import summarize_cohort
from mmkd.models.distillers.phased_step import phased_step, require_phases
from mmkd.models.distillers.sides import check_joint_heads, named_tensors
from mmkd.registry import MODELS
from mmkd.taps import Tensors


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
        data_preprocessor: for all peers; defaults to theirs, if all agree.
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
        cohort = build_cohort(cohort, data_preprocessor)
        if not isinstance(data_preprocessor, nn.Module):
            if data_preprocessor is None:
                require_one_preprocessor(cohort)
            data_preprocessor = getattr(cohort[0], 'data_preprocessor', None)
        super().__init__(data_preprocessor, check_labels, init_cfg)
        self.cohort = cohort
        self.check_finite = check_finite
        self.evaluate_peers = evaluate_peers
        self.task_weights = weights_of(task_weight, len(cohort))
        self.views: Any = ROOT_MODELS.build(dict(views)) if views else None

        self.exchanges = build_exchanges(exchange)
        taps, aux = dict(taps or {}), dict(aux_heads or {})
        self.wanted, head_names = names_read(
            self.exchanges, taps, aux, len(cohort)
        )
        self.taps = build_taps(taps, self.cohort)
        report = rehearse_peers(self, input_shape) if dry_run else None
        self.aux_configs, self.aux_heads = build_peer_heads(
            aux, head_names, cohort, report
        )
        for peer, heads in zip(cohort.peers, self.aux_heads, strict=True):
            check_joint_heads(heads, peer, self.views)
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
        if not isinstance(deploy, str) and deploy not in range(-count, count):
            raise ValueError(
                f'deploy={deploy}: the cohort has {count} peers; give an '
                f'index from 0 to {count - 1}, or a negative one from the '
                'end'
            )
        self.deploy = deploy
        # Index of the deployed peer; -1 is an auxiliary classifier.
        self.register_buffer('deployed_peer', torch.tensor(0))
        self._fix_deployed_peer()

    def _fix_deployed_peer(self) -> None:
        """Write what the config says; ``'best'`` is chosen by a hook."""
        if isinstance(self.deploy, int):
            self.deployed_peer.fill_(range(len(self.cohort))[self.deploy])
        elif self.deploy != 'best':
            self.deployed_peer.fill_(-1)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._fix_deployed_peer()  # the checkpoint may be of another config

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
        self.validate_labels(self.cohort[0], data_samples, 'cohort.peers[0].')
        views = views_of_peers(inputs, len(self.cohort))
        run = run_peers(self, views, data_samples)
        batch = CohortBatch(
            data_samples, views[0].device, run.view_labels, self.cohort[0]
        )
        by_phase: dict[str | None, dict[str, Any]] = {None: run.losses}
        for number, exchange in enumerate(self.exchanges):
            peers = roles_of(exchange, run.tensors)
            aux = exchange.auxiliary(peers, batch)
            for phase in (None, *exchange.phases):
                given = exchange(peers, batch, phase, aux)
                if phase is None and exchange.ramp_epochs:
                    given['ramp'] = torch.tensor(exchange.ramp(batch))
                losses = by_phase.setdefault(phase, {})
                for name, value in given.items():
                    key = name
                    if name in run.sources:
                        key = (
                            f'{phase}.{name}' if phase else f'{name}_{number}'
                        )
                    losses[key] = value
                    run.sources[key] = sources_of(peers)
        if self.check_finite:
            for losses in by_phase.values():
                self.require_finite(
                    {k: v for k, v in losses.items() if 'loss' in k},
                    run.sources,
                )
        return by_phase

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
