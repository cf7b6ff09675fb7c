"""The network that a pruned run left, from its config and checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmkd.networks import build_network, deployed_peer, load_network_weights
from mmkd.pruning.plain import as_plain
from mmkd.pruning.recalibration import recalibrate_batch_norm
from mmkd.utils.checkpoints import read_checkpoint
from mmkd.utils.export import deployed_network


@dataclass(frozen=True)
class MaskedRun:
    """What a run left.

    Args:
        network: the deployed one with its zero filters, in eval mode.
        architecture: its config, of plain values.
        scope: that the config is of.
        peer: which one of a cohort it was.
        dataset_meta: what the checkpoint knows of the data.
    """

    network: nn.Module
    architecture: dict[str, Any]
    scope: str
    peer: int | None
    dataset_meta: Any


def read_run(
    config: Config,
    checkpoint: str | Path,
    peer: int | None = None,
    allow_pickle: bool = False,
) -> MaskedRun:
    """Build the network that a run deployed, with its weights.

    Args:
        config: of a distiller or of a network.
        checkpoint: of the distiller or of the network.
        peer: which peer of a cohort; defaults to the deployed one.
        allow_pickle: see `read_checkpoint`.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: it does not fit.
    """
    saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
    state = saved['state_dict']
    if 'cohort' in config.model and peer is None:
        peer = deployed_peer(state, checkpoint)
    spec = deployed_network(config, peer)
    network = build_network(spec)
    load_network_weights(network, checkpoint, peer=peer, state=state)
    return MaskedRun(
        network=network.eval(),
        architecture=as_plain(spec),
        scope=config.get('default_scope') or spec['_scope_'],
        peer=peer,
        dataset_meta=(saved.get('meta') or {}).get('dataset_meta'),
    )


def recalibrate(network: Any, config: Config, count: int) -> None:
    """Estimate batch norms anew on ``count`` training batches.

    Raises:
        ValueError: the config has no training data.
    """
    if config.get('train_dataloader') is None:
        raise ValueError(
            f'recalibrate={count} needs training data, but the config has no '
            'train_dataloader: add it, or leave --recalibrate out'
        )
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    batches = (batch for batch, _ in zip(loader, range(count), strict=False))

    def forward(batch: Any) -> None:
        data = network.data_preprocessor(batch, False)
        samples = data.get('data_samples')
        network(data['inputs'], data_samples=samples, mode='tensor')

    recalibrate_batch_norm(network, batches, forward)
    network.eval()
