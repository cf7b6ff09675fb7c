"""Mistakes put by hand into the toy configs of single methods."""

from __future__ import annotations

from typing import Any

# base, kind: what, path, value, words of a clear line
OF_METHODS: list[tuple[str, str, str, Any, tuple[str, ...]]] = []


def _of(name: str, kind: str, cases: dict[str, Any]) -> None:
    for path, value in cases.items():
        last = path.rpartition('.')[2]
        OF_METHODS.append((name, kind, path, value, (last,)))


_of('lmcl', 'kind', {
    'model.exchange.matching': 'LayerMatchingNetwork',
    'model.aux_heads.refined.stage_depths': 'fulll',
    'model.exchange.loss.vcl_weight': 'much',
})  # fmt: skip
_of('lmcl', 'range', {
    'custom_hooks.0.interval': 0,
    'custom_hooks.0.num_inner_steps': 0,
    'custom_hooks.0.adjoint': 'exakt',
    'model.exchange.loss.temperature': 0.0,
    'model.exchange.matching.proj_dim': 0,
})  # fmt: skip
_of('mcl_okd', 'range', {
    'model.cohort.shared': ['stem', 'stage9'],
    'model.exchange.contrast.num_negatives': 0,
    'model.exchange.contrast.momentum': 1.5,
    'model.aux_heads.embeds.embedding_dim': 0,
})  # fmt: skip
_of('moco', 'range', {
    'model.peer_views': [0, 5],
    'model.exchange.loss.queue_size': 0,
    'model.exchange.loss.num_peers': 3,
    'model.followers.key.momentum': -0.1,
})  # fmt: skip
_of('moco', 'kind', {'model.followers': ['key'], 'model.peer_views': 'both'})
_of('pcl', 'kind', {'model.followers.mean.warmup': 'yes'})
_of('pcl', 'range', {
    'model.deploy.peer': 7,
    'model.exchange.temperature': -3.0,
    'model.cohort.shared': ['stag1'],
})  # fmt: skip
_of('oem', 'kind', {
    'model.cohort.num_students': 'many',
    'model.exchange.adaptation': 'maybe',
})  # fmt: skip
_of('oem', 'range', {
    'model.cohort.num_students': 0,
    'model.deploy': 'most',
    'model.exchange.temperature': 0.0,
})  # fmt: skip
_of('okdhp', 'kind', {
    'model.cohort.individual_stacks': 'three',
    'model.exchange.aggregation': 'sum',
})  # fmt: skip
_of('okdhp', 'range', {
    'model.cohort.shared_stacks': -1,
    'model.exchange.aggregation.variant': 'mean',
    'model.exchange.ensemble_maps': 'first',
    'model.exchange.temperature': 0.0,
})  # fmt: skip
_of('afd', 'range', {
    'model.exchange.topology': 'ring',
    'model.exchange.discriminator.preset': 'score',
})  # fmt: skip
_of('ffl', 'range', {'model.exchange.target_epsilon': -1.0})
_of('skd', 'range', {
    'model.losses.adv.mode': 'hing',
    'model.losses.pairwise.pool_kernel': 0,
})  # fmt: skip
_of('skd', 'kind', {'optim_wrapper.discriminator': 'Adam'})
_of('pkd', 'shape', {'model.taps.pyramid': 'neck[{0,1,2,9}]'})
