"""The network that a pruned run left, from its config and checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmkd.deploy import load_deployed
from mmkd.pruning.plain import as_plain
from mmkd.pruning.recalibration import recalibrate_batch_norm


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
    found = load_deployed(
        config, checkpoint, peer=peer, allow_pickle=allow_pickle
    )
    return MaskedRun(
        network=found.network,
        architecture=as_plain(found.spec),
        scope=config.get('default_scope') or found.spec['_scope_'],
        peer=found.peer,
        dataset_meta=found.meta.get('dataset_meta'),
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
