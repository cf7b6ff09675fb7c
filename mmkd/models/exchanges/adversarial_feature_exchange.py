"""Feature-map-level online adversarial knowledge distillation (AFD)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.checks import (
    check_cohort,
    check_roles,
    logits_of,
    require_maps,
)
from mmkd.models.exchanges.transfer import (
    Batch,
    CohortSpec,
    Peers,
    Tensors,
    Transfer,
)
from mmkd.models.losses.lsgan_loss import (
    LSGANDiscriminatorLoss,
    LSGANGeneratorLoss,
)
from mmkd.models.losses.precision import at_least_float32, no_autocast
from mmkd.models.necks.channel_transfer import ChannelTransfer
from mmkd.models.necks.pooling import pooled_to_smallest
from mmkd.registry import MODELS
from mmkd.utils.settings import require_dict

_TOPOLOGIES = ('cycle', 'pairs')


@MODELS.register_module()
class AdversarialFeatureExchange(Exchange):
    """Each peer learns the distribution of another's feature maps (AFD).

    In a ring, peer k learns from peer j = k - 1 (of two peers, each from the
    other). m = T(f) are its transferred maps, D_k its discriminator, for
    which j's maps are real and its own fake:

    phase ``main``           CE(z_k, y) + KL_T(z_j || z_k)
    phase ``discriminator``  mean (1 - D_k(m_j))^2 + mean D_k(m_k)^2
    phase ``adversarial``    mean (1 - D_k(m_k))^2

    All gradients are taken at the weights of one forward pass; the first
    trains networks, the second discriminators alone (maps detached), the
    third networks up to the maps, and T, not the discriminators. Each phase
    has its own optimizer: the third needs a far smaller learning rate than
    the first. Logged beside: ``peer0.score_real``, ``peer0.score_fake``, the
    means of D_0 on both. Discriminators run in float32. Paper:
    https://arxiv.org/abs/2002.01775.

    Args:
        on: ``dict(feats=..., logits=...)``; feats are maps (N, C, H, W) of
            the last stage, before they are pooled.
        topology: ``'cycle'``; or ``'pairs'``: every peer learns from each
            other one, with M (M - 1) discriminators and the mean of the
            terms. Equal for two peers.
        temperature: T of the logits.
        discriminator: dict of a `FeatureMapDiscriminator`; ``in_channels``
            is filled in.
        transfer: T of the maps, ``dict(out_channels=C*, pool='smallest')``:
            maps of other width pass a `ChannelTransfer` to C* channels (None:
            the widest), larger ones are averaged to the smallest size
            (None: an error).
        discriminator_weight, adversarial_weight: factors on the losses of
            these phases; ``loss_weight`` is that of the logits.
        others: see `Exchange`.
    """

    phases = ('discriminator', 'adversarial')

    def __init__(
        self,
        on: Mapping[str, str],
        topology: str = 'cycle',
        temperature: float = 3.0,
        discriminator: Mapping[str, Any] | None = None,
        transfer: Mapping[str, Any] | None = None,
        discriminator_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        **others: Any,
    ) -> None:
        super().__init__(on, temperature, **others)
        check_roles(self, 'feats', 'logits')
        if topology not in _TOPOLOGIES:
            raise ValueError(
                f'AdversarialFeatureExchange: topology={topology!r}; choose '
                f'one of {", ".join(_TOPOLOGIES)}'
            )
        if discriminator is not None:
            require_dict(
                'exchange.discriminator', discriminator, "preset='score_map'"
            )
        self.topology = topology
        self.discriminator_config = dict(discriminator or {})
        self.out_channels, self.pool = _read_transfer(transfer)
        self.judge_loss = LSGANDiscriminatorLoss(discriminator_weight)
        self.fool_loss = LSGANGeneratorLoss(adversarial_weight)

    def setup(self, spec: CohortSpec) -> None:
        """Build transfer layers and discriminators.

        Raises:
            ValueError: too few peers, or maps that do not fit.
        """
        check_cohort(self, spec)
        for shapes in spec.shapes:
            require_maps(self, shapes, 'feats')
        self._check_sizes([shapes.get('feats') for shapes in spec.shapes])
        config = {
            'type': 'mmkd.FeatureMapDiscriminator',
            **self.discriminator_config,
        }
        known = config.get('in_channels')
        channels = [known] * spec.num_peers if known else []
        channels = channels or spec.channels('feats')
        common = self.out_channels or max(channels)
        self.transfer = nn.ModuleList(
            ChannelTransfer(width, common) for width in channels
        )
        config['in_channels'] = common
        self.sources = [
            [k - 1 if k else spec.num_peers - 1]
            if self.topology == 'cycle'
            else [j for j in range(spec.num_peers) if j != k]
            for k in range(spec.num_peers)
        ]
        # peer after peer, each with one for every source
        self.discriminator = nn.ModuleList(
            ROOT_MODELS.build(dict(config))
            for sources in self.sources
            for _ in sources
        )

    def _check_sizes(self, shapes: Sequence[Any]) -> None:
        """Refuse maps of unequal size where nothing pools them.

        Raises:
            ValueError: names two peers.
        """
        sizes = [f'{s[2]}x{s[3]}' for s in shapes if s is not None]
        for k, size in enumerate(sizes):
            if self.pool is None and size != sizes[0]:
                raise ValueError(
                    f'{type(self).__name__}: feature maps of peers 0 and {k} '
                    f'are {sizes[0]} and {size}; set '
                    "transfer=dict(pool='smallest')"
                )

    def adapt(self, peers: Peers) -> Peers:
        """Add the role ``maps``: transferred maps of one shape.

        Raises:
            ValueError: the maps differ in size, and nothing pools them.
        """
        feats = [peer['feats'] for peer in peers]
        self._check_sizes([value.shape for value in feats])
        with no_autocast(feats[0]):
            maps = [
                layer(at_least_float32(value))
                for layer, value in zip(
                    self.transfer, pooled_to_smallest(feats), strict=True
                )
            ]
        return [
            {**peer, 'maps': value}
            for peer, value in zip(peers, maps, strict=True)
        ]

    def transfers(
        self, peers: Peers, aux: Mapping[str, Tensors], batch: Batch
    ) -> list[Transfer]:
        """Return one transfer of logits for every source of every peer."""
        logits = logits_of(self, peers)
        return [
            Transfer(k, logits[j], 1 / len(sources))
            for k, sources in enumerate(self.sources)
            for j in sources
        ]

    def phase_losses(
        self,
        phase: str,
        peers: Peers,
        aux: Mapping[str, Tensors],
        batch: Batch,
    ) -> dict[str, torch.Tensor]:
        """Return the losses of discriminators or of networks, and scores."""
        maps = [peer['maps'] for peer in peers]
        judges = iter(self.discriminator)
        found: dict[str, torch.Tensor] = {}
        with no_autocast(maps[0]):
            for k, sources in enumerate(self.sources):
                own = list(itertools.islice(judges, len(sources)))
                if phase == 'adversarial':
                    terms = [self.fool_loss(judge(maps[k])) for judge in own]
                    found[f'peer{k}.loss_adversarial'] = _mean(terms)
                    continue
                scores = [
                    (judge(maps[j].detach()), judge(maps[k].detach()))
                    for judge, j in zip(own, sources, strict=True)
                ]
                terms = [self.judge_loss(*pair) for pair in scores]
                found[f'peer{k}.loss_discriminator'] = _mean(terms)
                for index, name in enumerate(('real', 'fake')):
                    means = [pair[index].detach().mean() for pair in scores]
                    found[f'peer{k}.score_{name}'] = _mean(means)
        return found

    def phase_parameters(
        self, phase: str, peers: Sequence[torch.nn.Module]
    ) -> Iterable[torch.nn.Parameter]:
        """Return discriminators, or networks and transfer layers.

        Classifiers are among them, but no gradient of the phase reaches
        them: an optimizer then leaves them as they are.
        """
        if phase == 'discriminator':
            return self.discriminator.parameters()
        networks = (peer.parameters() for peer in peers)
        return itertools.chain(self.transfer.parameters(), *networks)


def _read_transfer(
    transfer: Mapping[str, Any] | None,
) -> tuple[int | None, str | None]:
    """Return the common width and how maps are pooled.

    Raises:
        TypeError, ValueError: keys or values are not known.
    """
    example = "pool='smallest'"
    if transfer is not None:
        require_dict('exchange.transfer', transfer, example)
    given = dict(transfer or {})
    width, pool = (
        given.pop('out_channels', None),
        given.pop('pool', 'smallest'),
    )
    if given or pool not in (None, 'smallest'):
        raise ValueError(
            f'exchange.transfer={dict(transfer or {})}: it knows out_channels '
            f"(a number) and pool ('smallest' or None); write e.g. "
            f'dict({example})'
        )
    return width, pool


def _mean(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    return terms[0] if len(terms) == 1 else torch.stack(list(terms)).mean()
