"""A plain checkpoint of the plain network out of a distiller's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmkd.checkpoints.write import write_weights
from mmkd.networks import (
    build_network,
    deployed_peer,
    load_network_weights,
    network_dict,
)
from mmkd.utils.checkpoints import read_checkpoint
from mmkd.utils.onnx_export import export_onnx
from mmkd.utils.raw_outputs import random_inputs, raw_outputs
from mmkd.version import __version__

# Keys of a distiller's dict that say what its student is.
_STUDENT_KEYS = ('type', '_scope_', 'student', 'data_preprocessor')
_COHORT_KEYS = ('type', '_scope_', 'cohort', 'data_preprocessor')


@dataclass(frozen=True)
class ExportReport:
    """What `export_student` wrote and checked.

    Args:
        path: the plain checkpoint.
        num_tensors: entries of its ``state_dict``.
        num_parameters: of the network.
        input_shape: (N, C, H, W) on which the outputs were compared.
        onnx_path: the ONNX file, if asked for.
        onnx_deviation: largest difference of an output, relative to the
            largest value of this output.
    """

    path: Path
    num_tensors: int
    num_parameters: int
    input_shape: tuple[int, ...]
    onnx_path: Path | None = None
    onnx_deviation: float | None = None


def export_student(
    config: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    input_shape: Sequence[int] | None = None,
    onnx: str | Path | None = None,
    allow_pickle: bool = False,
    peer: int | None = None,
) -> ExportReport:
    """Write the deployed network of a run as a plain checkpoint.

    The written file is read again into the network that the config's
    repository builds, strictly, and must give the same outputs.

    Args:
        config: of a distiller or of the network. Teachers are not built.
        checkpoint: of the distiller or of the network.
        out: the file to write, ``.pth`` or ``.safetensors``.
        input_shape: (C, H, W) of the random input on which outputs are
            compared; defaults to the size that the data preprocessor pads
            to, else (3, 224, 224).
        onnx: ONNX file to write too; needs onnx and onnxruntime.
        allow_pickle: see `read_checkpoint`.
        peer: which peer of a cohort; defaults to the deployed one.

    Raises:
        ValueError: the checkpoint does not fit, or outputs differ.
        ImportError: a package that ONNX needs is missing.
    """
    saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
    state = saved['state_dict']
    if 'cohort' in config.model and peer is None:
        peer = deployed_peer(state, checkpoint)
    plain = deployed_network(config, peer)
    if peer is not None and 'cohort' in config.model:
        peer %= len(config.model.cohort.peers)  # -1 is the last
    source = _source_network(config, peer)
    load_network_weights(source, checkpoint, peer=peer, state=state)
    save_plain(source, out, (saved.get('meta') or {}).get('dataset_meta'))

    network = build_network(plain)
    inputs = random_inputs(network, input_shape)
    verify_export(out, source, network, inputs)
    deviation = None
    if onnx is not None:
        deviation = export_onnx(network, inputs, onnx)
    return ExportReport(
        path=Path(out),
        num_tensors=len(network.state_dict()),
        num_parameters=sum(p.numel() for p in network.parameters()),
        input_shape=tuple(inputs.shape),
        onnx_path=None if onnx is None else Path(onnx),
        onnx_deviation=deviation,
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
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', config.data_preprocessor)
    return network_dict(model, config.get('default_scope'), peer)


def _source_network(config: Config, peer: int | None) -> nn.Module:
    """Build the network as a distiller holds it, without its teachers."""
    model = config.model
    if 'cohort' in model:
        kept = {key: model[key] for key in _COHORT_KEYS if key in model}
        return MODELS.build(dict(kept, dry_run=False, deploy=peer)).deployed
    if 'student' not in model:
        return build_network(deployed_network(config))
    kept = {key: model[key] for key in _STUDENT_KEYS if key in model}
    kept['student'] = deployed_network(config)
    return MODELS.build(dict(kept, dry_run=False)).deployed


def save_plain(
    network: nn.Module,
    out: str | Path,
    dataset_meta: Mapping[str, Any] | None = None,
) -> None:
    """Write ``network`` with plain types only, readable without mmkd.

    Args:
        network: its key names are kept.
        out: the file (``.pth`` or ``.safetensors``); it appears complete
            or not at all.
        dataset_meta: of the training data; task repositories read class
            names and colours from it.
    """
    state = network.state_dict()
    plain = OrderedDict(
        (key, value.detach().cpu().clone()) for key, value in state.items()
    )
    # Versions of the modules: without them, old key names are converted.
    plain._metadata = state._metadata  # type: ignore[attr-defined]
    meta = dict(mmkd_version=__version__)
    if dataset_meta is not None:
        meta['dataset_meta'] = _plain(dataset_meta)
    write_weights(out, plain, meta)


def _plain(value: Any) -> Any:
    """Return ``value`` made of the types that any reader knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


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
