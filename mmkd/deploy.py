"""Which network a run trained: from config and checkpoint to the network.

Checkpoints keep a student as ``student.…``, peers as ``cohort.peers.<k>.…``,
followers as ``followers.<name>.networks.<k>.…``; a plain network's own keys
stand bare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmkd.checkpoints.read import read_checkpoint, strip_prefix
from mmkd.checkpoints.strict import fit_weights
from mmkd.networks import (
    build_network,
    inherit_preprocessor,
    network_dict,
    networks_of,
    trainer_of,
)

OWN = 'own'
_PEERS = 'cohort.peers.'
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Deployment:
    """What is evaluated and exported.

    Args:
        peer: index of a peer, ``'best'``, ``'all'``, or the name of an
            auxiliary classifier.
        weights: ``'own'``, or the name of a follower.
    """

    peer: int | str = 0
    weights: str = OWN

    @classmethod
    def parse(cls, given: Any) -> Deployment:
        """Read ``deploy`` of a config: a peer, or ``dict(peer=, weights=)``.

        Raises:
            TypeError: it has unknown keys.
        """
        if not isinstance(given, Mapping):
            given = dict(peer=0 if given is None else given)
        unknown = sorted(set(given) - {'peer', 'weights'})
        if unknown:
            raise TypeError(
                f'deploy has the unknown key {", ".join(unknown)}: give a '
                'peer index, a name, or dict(peer=..., weights=...)'
            )
        peer, weights = given.get('peer', 0), given.get('weights', OWN)
        return cls(peer, weights)

    def check(
        self, count: int, names: Iterable[str], followers: Iterable[str]
    ) -> None:
        """Refuse what a cohort does not have.

        Args:
            count: number of peers.
            names: of its auxiliary classifiers.
            followers: names of followers.

        Raises:
            ValueError: names what there is.
        """
        names, followers = list(names), list(followers)
        if self.weights not in (OWN, *followers):
            raise ValueError(
                f"deploy=dict(weights='{self.weights}'): there is no such "
                f'follower; known: {", ".join([OWN, *followers])}'
            )
        if isinstance(self.peer, str):
            if self.peer not in ('best', 'all', *names):
                raise ValueError(
                    f"deploy='{self.peer}' is neither 'best', 'all' nor an "
                    'auxiliary classifier of the exchange '
                    f'({", ".join(names) or "none"}); give a peer index '
                    f'from 0 to {count - 1}'
                )
        elif self.peer not in range(-count, count):
            raise ValueError(
                f'deploy={self.peer}: the cohort has {count} peers; give an '
                f'index from 0 to {count - 1}, or a negative one from the '
                'end'
            )

    @property
    def auxiliary(self) -> bool:
        """Whether an auxiliary classifier is deployed."""
        return isinstance(self.peer, str) and (
            self.peer not in ('best', 'all')
        )


def is_cohort(config: Config) -> bool:
    """Return whether a run of ``config`` trains several networks."""
    return len(networks_of(config.model)) > 1


def deploys_classifier(config: Config) -> bool:
    """Return whether a run deploys a classifier of all peers together."""
    model = config.model
    return is_cohort(config) and (
        Deployment.parse(model.get('deploy')).auxiliary
    )


def deployed_network(
    config: Config, peer: int | None = None
) -> dict[str, Any]:
    """Return the dict of the network that a run of ``config`` deploys.

    Args:
        config: of a distiller or of a network.
        peer: which peer of a cohort; defaults to its ``deploy``.
    """
    model = config.model
    inherit_preprocessor(model, config.get('data_preprocessor'))
    return network_dict(model, config.get('default_scope'), peer)


def key_prefix(config: Config, peer: int | None = None) -> str:
    """Return where a run's checkpoint keeps a network's keys.

    Args:
        config: of the run.
        peer: which peer of a cohort; defaults to the first.
    """
    count = len(networks_of(config.model))
    if count > 1:
        return f'{_PEERS}{(peer or 0) % count}.'
    return 'student.' if count else ''


def resolve_peer(
    config: Config,
    state: State,
    checkpoint: str | Path,
    peer: int | None = None,
) -> int | None:
    """Return the index of the peer that is asked for; None if no cohort.

    Args:
        config: of the run.
        state: ``state_dict`` of its checkpoint.
        checkpoint: where that comes from, for messages.
        peer: what is asked for, -1 the last; defaults to the deployed one.

    Raises:
        ValueError: there is no such peer, or what is deployed is no network
            of its own.
    """
    count = len(networks_of(config.model))
    if count < 2:
        return peer
    if peer is None and any(key.startswith(_PEERS) for key in state):
        peer = deployed_peer(state, checkpoint)
    if peer is None:
        return None
    if peer not in range(-count, count):
        raise ValueError(
            f'peer {peer} is asked for, but cohort.peers has {count} '
            f'networks: give an index from 0 to {count - 1}'
        )
    return peer % count


def weights_of(config: Config) -> str:
    """Return whose weights a run deploys: its own, or a follower's."""
    if not networks_of(config.model):
        return OWN
    return Deployment.parse(config.model.get('deploy')).weights


def deployed_peer(state: State, checkpoint: str | Path) -> int:
    """Return the index of the deployed peer in a cohort's ``state_dict``.

    Raises:
        ValueError: what is deployed is no network of its own.
    """
    index = int(state.get('deployed_peer', -1))
    if index < 0:
        raise ValueError(
            f'checkpoint="{checkpoint}" is of a cohort that deploys an '
            'auxiliary classifier of all peers, which is no network of its '
            'own: say which peer you want (--peer, or peer=...)'
        )
    return index


@dataclass(frozen=True)
class Deployed:
    """The network that a run trained, with its weights.

    Args:
        network: in eval mode.
        spec: its dict.
        peer: its index in the cohort, or None.
        meta: of the checkpoint.
    """

    network: nn.Module
    spec: dict[str, Any]
    peer: int | None
    meta: Mapping[str, Any]


def load_deployed(
    config: Config,
    checkpoint: str | Path,
    *,
    peer: int | None = None,
    allow_pickle: bool = False,
) -> Deployed:
    """Build the network that a run deploys, with the weights of its file.

    Args:
        config: of a network, a distiller or a cohort.
        checkpoint: of the network or of the run.
        peer: which peer of a cohort; defaults to the deployed one.
        allow_pickle: see `read_checkpoint`.

    Raises:
        ValueError: the weights do not fit, or no single network is deployed.
    """
    saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
    state = saved['state_dict']
    peer = resolve_peer(config, state, checkpoint, peer)
    spec = deployed_network(config, peer)
    network = build_network(spec)
    load_network_weights(
        network, checkpoint, peer=peer, weights=weights_of(config), state=state
    )
    return Deployed(network.eval(), spec, peer, saved.get('meta') or {})


def build_source(config: Config, peer: int | None = None) -> nn.Module:
    """Build the network as the run of ``config`` holds it.

    Teachers, losses and exchanges are left out.
    """
    model = config.model
    trainer = trainer_of(model)
    if trainer is None:
        return build_network(deployed_network(config))
    bare = {key: model[key] for key in trainer.bare_keys if key in model}
    if 'student' in bare:
        bare['student'] = deployed_network(config)
    if peer is not None:
        bare['deploy'] = peer
    return MODELS.build(dict(bare, dry_run=False)).deployed


def network_state(
    state: State,
    checkpoint: str | Path,
    peer: int | None = None,
    weights: str = OWN,
) -> tuple[State, State]:
    """Return one network's part of a run's ``state_dict``.

    Args:
        state: of a plain network, a distiller or a cohort.
        checkpoint: where it comes from, for messages.
        peer: which peer of a cohort, -1 the last; defaults to the deployed
            one.
        weights: the network's own, or those of a follower.

    Returns:
        Its weights under the plain network's keys, and the entries of its
        auxiliary heads as ``aux_heads.<name>.…``.

    Raises:
        ValueError: there is no such follower in it.
    """
    heads = {k: v for k, v in state.items() if k.startswith('aux_heads.')}
    number = 0
    if any(key.startswith('student.') for key in state):
        plain = strip_prefix(state, 'student.')
    elif any(key.startswith(_PEERS) for key in state):
        number = deployed_peer(state, checkpoint) if peer is None else peer
        if number < 0:  # -1 is the last
            peers = [k for k in state if k.startswith(_PEERS)]
            number += len({key.split('.')[2] for key in peers})
        plain = strip_prefix(state, f'{_PEERS}{number}.')
        own = strip_prefix(heads, f'aux_heads.{number}.')
        heads = {f'aux_heads.{key}': value for key, value in own.items()}
    elif state and all(key.startswith('module.') for key in state):
        return strip_prefix(state, 'module.'), heads
    else:
        return state, heads
    if weights != OWN:
        # Copies are kept by the name of the follower.
        plain = strip_prefix(state, f'followers.{weights}.networks.{number}.')
        if not plain:
            raise ValueError(
                f'checkpoint="{checkpoint}" holds no follower "{weights}": '
                f"deploy weights='{OWN}', or the checkpoint of a training "
                'with that follower'
            )
    return plain, heads


def load_network_weights(
    network: nn.Module,
    checkpoint: str | Path,
    *,
    strict: bool = True,
    allow_pickle: bool = False,
    role: str = 'network',
    peer: int | None = None,
    weights: str = OWN,
    state: State | None = None,
) -> State:
    """Load a checkpoint into ``network``.

    A plain checkpoint of the network and that of a distiller are both
    understood.

    Args:
        network: the built network.
        checkpoint: a local file.
        strict: refuse keys that are missing, unexpected or of other shape.
        allow_pickle: see `read_checkpoint`.
        role: the network's name in messages, e.g. ``'teacher'``.
        peer, weights: see `network_state`.
        state: the ``state_dict`` of the file, if it was already read.

    Returns:
        The entries of the file that belong to auxiliary heads, as
        ``aux_heads.<name>.…``; of a cohort, those of the peer.

    Raises:
        ValueError: the weights do not fit.
    """
    if state is None:
        saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
        state = saved['state_dict']
    plain, heads = network_state(state, checkpoint, peer, weights)
    fit_weights(network, plain, checkpoint, strict=strict, role=role)
    return heads
