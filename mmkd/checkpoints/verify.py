"""Does a written network compute what the trained one computes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmkd.deploy import load_network_weights
from mmkd.inputs import image_samples
from mmkd.training_heads import query_head_runs
from mmkd.utils.meta_copy import runnable_shape


def random_inputs(
    network: nn.Module, input_shape: Sequence[int] | None = None
) -> torch.Tensor:
    """Return two random images (2, C, H, W), the same at every call.

    Args:
        network: says the shape, if none is given (`mmkd.inputs`).
        input_shape: (C, H, W).
    """
    if input_shape is None:
        trained = getattr(network, 'trained', [network])  # of a distiller
        input_shape = runnable_shape(trained[0])
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *input_shape, generator=generator)


def raw_outputs(
    network: nn.Module, inputs: torch.Tensor
) -> list[torch.Tensor]:
    """Return the raw outputs (``mode='tensor'``) as a flat list.

    Raises:
        ValueError: the network does not run on ``inputs``.
    """
    try:
        samples = image_samples(network, len(inputs), inputs.shape[1:])
        with query_head_runs(network):
            return list(_flat(network(inputs, samples, mode='tensor')))
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f'{type(network).__name__} does not run on inputs '
            f'{tuple(inputs.shape)} with mode="tensor" ({error}); give '
            '--input-shape C H W'
        ) from error


def _flat(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _flat(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _flat(entry)


@torch.no_grad()
def verify_export(
    path: str | Path,
    source: nn.Module,
    network: nn.Module,
    inputs: torch.Tensor,
) -> None:
    """Read ``path`` into the plain ``network``, compare it with ``source``.

    Both are left in eval mode.

    Raises:
        ValueError: keys do not match, or an output differs.
    """
    load_network_weights(network, path)
    wanted = raw_outputs(source.cpu().eval(), inputs)
    found = raw_outputs(network.eval(), inputs)
    for index, (one, two) in enumerate(zip(wanted, found, strict=True)):
        if not torch.equal(one, two):
            raise ValueError(
                f'export "{path}": output {index} of the plain network '
                f'differs from the trained one by up to '
                f'{float((one - two).abs().max()):.3g} on inputs '
                f'{tuple(inputs.shape)}; the two configs do not describe '
                'the same network'
            )
