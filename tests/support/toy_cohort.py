"""Small cohorts of the four tasks, and exchanges that do little."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.models.distillers.online import OnlineDistiller
from mmkd.models.exchanges import Exchange
from mmkd.registry import MODELS
from mmkd.toys import toy_batch, toy_network
from tests.support.toy_runner import SCOPES

FEATS = dict(
    classification='neck',
    segmentation='backbone.layer4',
    pose='backbone.layer4',
    detection='neck',
)
LOGITS = dict(
    classification='head.fc',
    segmentation='decode_head.conv_seg',
    pose='head.final_layer',
    detection='bbox_head.conv_cls',
)
SIZE = (32, 32)


@MODELS.register_module(force=True)
class TinyTransferLoss(nn.Module):
    """Mean squared difference of two tensors, or of lists of them."""

    def forward(self, learner: Any, target: Any) -> torch.Tensor:
        if isinstance(learner, torch.Tensor):
            learner, target = [learner], [target]
        terms = [
            (a - b.detach()).square().mean()
            for a, b in zip(learner, target, strict=True)
        ]
        return torch.stack(terms).sum()


@MODELS.register_module(force=True)
class TinyMeanExchange(Exchange):
    """An auxiliary classifier ``mean``, and an extra loss."""

    auxiliary_names = ('mean',)

    def auxiliary(self, peers: Any, batch: Any) -> dict[str, Any]:
        return dict(mean=sum(p['logits'] for p in peers) / len(peers))

    def extra_losses(self, peers: Any, aux: Any, batch: Any) -> dict[str, Any]:
        return dict(loss_size=peers[0]['logits'].square().mean())


def cohort_config(
    task: str = 'classification', peers: Any = 2, **changes: Any
) -> dict[str, Any]:
    """A cohort that learns mutually; ``peers`` is a number or networks."""
    if isinstance(peers, int):
        peers = [toy_network(task, 4) for _ in range(peers)]
    cohort = changes.pop('cohort', {})
    if 'peer' not in cohort:  # else the cohort makes its peers itself
        cohort = dict(dict(type='mmkd.Cohort', peers=peers), **cohort)
    exchange: dict[str, Any] = dict(type='mmkd.MutualExchange')
    if task == 'pose':
        exchange['transfer_loss'] = dict(type='mmkd.TinyTransferLoss')
    config = dict(
        type='mmkd.OnlineDistiller',
        cohort=cohort,
        taps=dict(logits=LOGITS[task], feats=FEATS[task]),
        exchange=exchange,
        input_shape=(3, *SIZE),
    )
    return copy.deepcopy({**config, **changes})


def build_cohort(
    task: str = 'classification', peers: Any = 2, **changes: Any
) -> OnlineDistiller:
    """Build `cohort_config`, in the scope of the task."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        return ROOT_MODELS.build(cohort_config(task, peers, **changes))


def batch_for(
    model: Any,
    task: str = 'classification',
    num: int = 2,
    training: bool = True,
    size: tuple[int, int] = SIZE,
) -> dict[str, Any]:
    """Preprocessed inputs and data samples."""
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        raw = toy_batch(task, num, size)
    return model.data_preprocessor(raw, training)


def total(losses: dict[str, Any]) -> torch.Tensor:
    """Return the sum that is trained."""
    return sum(
        sum(v) if isinstance(v, (list, tuple)) else v
        for k, v in losses.items()
        if 'loss' in k
    )


@MODELS.register_module(force=True)
class TinyRecordingExchange(Exchange):
    """Keeps what it is given; an extra loss of all peers."""

    steps = 0
    factor = 1.0

    def __init__(self, keys: Any = (), **options: Any) -> None:
        super().__init__(**options)
        self.keys = keys

    def extra_losses(self, peers: Any, aux: Any, batch: Any) -> dict[str, Any]:
        self.seen = (peers, batch['labels'], batch['view_labels'])
        self.found = {key: batch[key] for key in self.keys}
        terms = [peer['logits'].square().mean() for peer in peers]
        return dict(loss_size=self.factor * sum(terms))

    def after_step(self, peers: Any) -> None:
        self.steps += 1
        weight = peers[0].head.fc.weight
        self.weight_seen = weight.detach().clone()


@MODELS.register_module(force=True)
class TinyLinear(nn.Module):
    """Features, pooled or not, to seven classes."""

    def __init__(self, in_channels: int, pool: bool = False) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, 7)
        self.pool = pool

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        return self.fc(feats.mean((2, 3)) if self.pool else feats)


@MODELS.register_module(force=True)
class TinyMovingExchange(Exchange):
    """Follows the loss with a moving average, its buffer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer('average', torch.zeros(()))

    def extra_losses(self, peers: Any, aux: Any, batch: Any) -> dict[str, Any]:
        self.last = peers[0]['logits'].square().mean()
        return dict(loss_size=self.last * (1 + self.average))

    def after_step(self, peers: Any) -> None:
        self.average.lerp_(self.last.detach(), 0.5)


@MODELS.register_module(force=True)
class TinyAdversarialExchange(Exchange):
    """Peer 1 is to look like peer 0 to a discriminator."""

    main_role = 'feats'
    phases = ('discriminator', 'adversarial')

    def __init__(self, on: Any = 'feats', **options: Any) -> None:
        super().__init__(on, **options)
        self.discriminator = nn.Linear(32, 1)

    def phase_losses(
        self, phase: str, peers: Any, aux: Any, batch: Any
    ) -> dict[str, Any]:
        real, fake = (peer['feats'] for peer in peers)
        if phase == 'adversarial':
            score = self.discriminator(fake)
            return dict(loss_fooled=(score - 1).square().mean())
        real, fake = (self.discriminator(x.detach()) for x in (real, fake))
        return dict(loss_critic=((real - 1).square() + fake.square()).mean())

    def phase_parameters(self, phase: str, peers: Any) -> Any:
        if phase == 'adversarial':
            return peers[1].parameters()
        return super().phase_parameters(phase, peers)
