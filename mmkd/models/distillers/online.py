"""Distillation without a teacher: peers that teach each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.cohorts.build import (
    build_cohort,
    check_shared_order,
    class_of_cohort,
    require_one_preprocessor,
    sharing_notes,
)
from mmkd.models.cohorts.per_peer import per_peer
from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.deployment import DeploysPeers
from mmkd.models.distillers.exchange_parts import (
    ExchangePart,
    build_exchanges,
    names_read,
)
from mmkd.models.distillers.following import follow
from mmkd.models.distillers.parts import Part
from mmkd.models.distillers.predictions import predict_all
from mmkd.models.distillers.rehearsal import Rehearsal
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.run import Observation, Run
from mmkd.models.distillers.summary import millions
from mmkd.models.distillers.views import (
    ViewMaker,
    require_views,
    views_of_peers,
)
from mmkd.models.distillers.wiring import Wiring, wire_peers
from mmkd.models.exchanges.transfer import CohortSpec
from mmkd.registry import MODELS
from mmkd.tasks import has_own_loss


@MODELS.register_module()
class OnlineDistiller(DeploysPeers):
    """Train a cohort of peers; any one of them is the result.

    loss = sum of the peers' own task losses + what the exchanges add. Every
    peer runs once per step and its ``loss`` is called unchanged.

    Args:
        cohort: dict of a `Cohort`.
        taps: name -> module path (see `mmkd.taps`), the same in all peers,
            or ``dict(peer0=..., peer1=...)``.
        aux_heads: name -> training-only module on the taps (or other heads)
            that its key ``on`` names; every peer has its own. Numbers of
            channels are filled in (`mmkd.models.distillers.filling`).
        exchange: dict of an exchange, or a list of those.
        followers: name -> dict of options of `Followers`: a moving average
            of every peer. An exchange reads its tensors as
            ``'<name>.<tensor>'``. The key ``view`` says which view of a
            batch they see: ``'own'``, that of their peer, or an index;
            ``shuffle``, whether in another order (`BatchShuffle`).
        deploy: the peer that is evaluated and exported: an index (negative
            ones count from the end), ``'best'`` (on the validation data, by
            `BestPeerHook`), the name of an auxiliary classifier, or
            ``'all'`` (peer 0 is evaluated, every peer exported). With
            ``dict(peer=..., weights='mean')``, its follower of that name.
        views: dict of a view set, e.g. `RotationViews`. A data preprocessor
            may also give a list of batches, one for each peer.
        peer_views: which batch of such a list each peer sees; one each by
            default. Where it is given, training on fewer views is refused.
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

    bare_keys = (*BaseDistiller.bare_keys, 'cohort')
    label_prefix = 'cohort.peers[0].'

    def __init__(
        self,
        cohort: Any,
        taps: Mapping[str, Any] | None = None,
        aux_heads: Mapping[str, Any] | None = None,
        exchange: Any = None,
        followers: Mapping[str, Any] | None = None,
        deploy: Any = 0,
        views: Mapping[str, Any] | None = None,
        peer_views: Sequence[int] | None = None,
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
        super().__init__(
            data_preprocessor, check_labels, check_finite, init_cfg
        )
        self.cohort = cohort
        self.evaluate_peers = evaluate_peers
        self.peer_views = per_peer('peer_views', peer_views, len(cohort))
        self.task_weights = per_peer(
            'task_weight', task_weight, len(cohort), float
        )
        self.views = ROOT_MODELS.build(dict(views)) if views else None

        self.exchanges = build_exchanges(exchange)
        wirings, copied = self._wire(taps, aux_heads, dict(followers or {}))
        self.peers = [
            _peer_role(index, peer, wiring)
            for index, (peer, wiring) in enumerate(
                zip(cohort.peers, wirings, strict=True)
            )
        ]
        self.roles = list(self.peers)
        rehearsal = self.watch(input_shape) if dry_run else None
        if rehearsal is not None:
            check_shared_order(cohort, rehearsal.rows, rehearsal.shape)
        for role in self.peers:
            self.build_role_heads(role, rehearsal)
        self.aux_heads = ModuleList(role.heads for role in self.peers)
        labels = [role.label for role in self.peers]
        self.parts: list[Part] = [
            ExchangePart(part, number, labels)
            for number, part in enumerate(self.exchanges)
        ]
        for part in self.exchanges:
            part.setup(self._spec(part.on, rehearsal))
        self._follow(dict(followers or {}), copied, rehearsal)
        self.set_deploy(deploy)
        self.finish_building(rehearsal)

    # -- building -----------------------------------------------------------

    def _wire(
        self,
        taps: Mapping[str, Any] | None,
        aux_heads: Mapping[str, Any] | None,
        followers: Mapping[str, Any],
    ) -> tuple[list[Wiring], dict[str, list[Wiring]]]:
        """Return what peers, and followers by name, must give."""
        taps, heads = dict(taps or {}), dict(aux_heads or {})
        count = len(self.cohort)
        for exchange in self.exchanges:
            for name in exchange.on.values():
                source = name.rpartition('.')[0]
                if source and source not in followers:
                    raise KeyError(
                        f'exchange {type(exchange).__name__} reads "{name}" '
                        f'of the follower "{source}"; model.followers has '
                        f'{", ".join(followers) or "none"}'
                    )
        own = wire_peers(taps, heads, names_read(self.exchanges), count)
        copied = {
            name: wire_peers(
                taps, own[0].heads, names_read(self.exchanges, name), count
            )
            for name in followers
        }
        return own, copied

    def _spec(
        self, on: Mapping[str, str], rehearsal: Rehearsal | None
    ) -> CohortSpec:
        """Return what an exchange reading ``on`` may build from."""
        shapes: list[dict[str, Any]] = []
        if rehearsal is not None:
            for role in self.peers:
                names = {k: n.rpartition('.')[2] for k, n in on.items()}
                found = {
                    key: rehearsal.shape_of(role, name)
                    for key, name in names.items()
                }
                shapes.append({k: v for k, v in found.items() if v})
        return CohortSpec(
            len(self.cohort), shapes, self.cohort.num_classes, self.unseen
        )

    def _follow(
        self,
        followers: Mapping[str, Any],
        wirings: Mapping[str, list[Wiring]],
        rehearsal: Rehearsal | None,
    ) -> None:
        """Make the moving averages of the peers."""
        self.following = {
            name: follow(
                f'model.followers.{name}',
                self.peers,
                [f'{peer.label}.{name}' for peer in self.peers],
                wirings[name],
                options or {},
                self.cohort.sharing.parts,
                rehearsal,
            )
            for name, options in followers.items()
        }
        self.followers = nn.ModuleDict(
            {name: group.copies for name, group in self.following.items()}
        )
        for group in self.following.values():
            self.roles += group.roles

    def summary_notes(self) -> list[str]:
        """Return what the peers share."""
        return [
            *sharing_notes(self.cohort),
            f'    all together: {millions(self.cohort)} parameters',
        ]

    def summary_end(self) -> str:
        """Return what is deployed."""
        name = self.deploy
        if isinstance(name, int):
            name = self.deployed_label
        return f'  deployed: {name}'

    # -- properties ---------------------------------------------------------

    @classmethod
    def network_configs(cls, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``peer0``, ``peer1``, ...: their specs."""
        cohort = model['cohort']
        specs = class_of_cohort(cohort).peer_configs(cohort)
        return {f'peer{k}': spec for k, spec in enumerate(specs)}

    @classmethod
    def writes_configs(cls, model: Mapping[str, Any]) -> bool:
        """Return whether the configs of the peers stand in no file."""
        return class_of_cohort(model['cohort']).writes_configs

    @property
    def trained(self) -> list[nn.Module]:
        """The peers."""
        return list(self.cohort.peers)

    # -- a step -------------------------------------------------------------

    def run(self, inputs: Any, data_samples: list | None) -> Run:
        """Run every peer once, then its followers.

        Shape:
            inputs: (N, C, H, W), or a list of those, one per view.
        """
        require_views(inputs, self._views_named())
        views = ViewMaker(self.views, data_samples)
        images = views_of_peers(inputs, len(self.cohort), self.peer_views)
        losses, tensors = {}, {}
        for index, role in self._one_by_one(images):
            view = views(images[index])
            own, tensors[role.label] = role.learn(view, data_samples)
            for key, value in own.items():
                if 'loss' in key:
                    value = _scaled(value, self.task_weights[index])
                losses[f'{role.label}.{key}'] = value
        for group in self.following.values():
            for role, _, found in group.observe(inputs, images, views):
                tensors[role.label] = found
        shown = views(images[0])
        batch = self._batch(data_samples, shown)
        return Run(losses, tensors, batch, shown.images)

    def observe(
        self, inputs: Any, data_samples: list | None = None
    ) -> Observation:
        """Return the named tensors of peers and followers, without a step.

        Shape:
            inputs: (N, C, H, W), preprocessed, or a list of those, one per
                view.
        """
        views = ViewMaker(self.views, data_samples)
        images = views_of_peers(inputs, len(self.cohort), self.peer_views)
        outputs, tensors = {}, {}
        for index, role in self._one_by_one(images):
            outputs[role.label], tensors[role.label] = role.observe(
                views(images[index]).images, views.samples
            )
        for group in self.following.values():
            for role, output, found in group.observe(inputs, images, views):
                outputs[role.label], tensors[role.label] = output, found
        shown = views(images[0])
        batch = self._batch(data_samples, shown)
        return Observation(outputs, tensors, shown.labels, batch)

    def _views_named(self) -> dict[str, int]:
        """Return the views that the config names: key -> the last one."""
        found = {
            f'model.followers.{name}.view': group.view
            for name, group in self.following.items()
            if isinstance(group.view, int)
        }
        if self.peer_views is not None:
            found[f'model.peer_views={self.peer_views}'] = max(self.peer_views)
        return found

    def _one_by_one(
        self, images: Sequence[torch.Tensor]
    ) -> Iterator[tuple[int, Role]]:
        """Return peer after peer; what they share runs once per view."""
        with self.cohort.sharing.active() as sharing:
            for index, role in enumerate(self.peers):
                sharing.next_peer(id(images[index]))
                yield index, role

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
        (``'peer0'``, ..., ``'peer0.mean'`` of a follower, an auxiliary
        classifier, ``'ensemble'``) -> data sample.
        """
        every = self.evaluate_peers or self.deployment.auxiliary
        every = every and has_own_loss(self.cohort[0])
        if mode == 'predict' and data_samples is not None and every:
            found = predict_all(
                self.peers,
                self.cohort.sharing,
                [p for p in self.parts if isinstance(p, ExchangePart)],
                inputs,
                data_samples,
                self.roles[len(self.peers) :],
            )
            return self._attach(found)
        return super().forward(inputs, data_samples, mode)

    def _attach(self, found: dict[str, list]) -> list:
        """Return the deployed samples with all others beside them."""
        chosen = [sample.new() for sample in found[self.deployed_label]]
        if self.evaluate_peers:
            for index, sample in enumerate(chosen):
                sample.set_field(
                    {key: samples[index] for key, samples in found.items()},
                    'peer_samples',
                )
        return chosen


def _peer_role(index: int, peer: nn.Module, wiring: Wiring) -> Role:
    """Return the role of a peer.

    Raises:
        KeyError: a tap names no module of it.
    """
    try:
        return Role(f'peer{index}', peer, wiring)
    except KeyError as error:
        raise KeyError(
            f'peer{index}: {error.args[0]}; where peers differ, write '
            'dict(peer0=..., peer1=...)'
        ) from None


def _scaled(value: Any, weight: float) -> Any:
    if weight == 1.0:
        return value
    if isinstance(value, (list, tuple)):
        return [entry * weight for entry in value]
    return value * weight
