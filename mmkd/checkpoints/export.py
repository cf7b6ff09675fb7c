"""A plain checkpoint of the plain network out of a distiller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from torch import nn

from mmkd.checkpoints.onnx import export_onnx
from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.verify import random_inputs, verify_export
from mmkd.checkpoints.write import plain_state, write_weights
from mmkd.deploy import (
    Deployment,
    build_source,
    deployed_network,
    load_network_weights,
    resolve_peer,
    weights_of,
)
from mmkd.networks import build_network, networks_of, writes_configs
from mmkd.version import __version__


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
    repository builds, strictly, and must give the same outputs. Where no
    file has the config of the network (that of a compressed student), it is
    written beside it.

    Args:
        config: of a distiller or of the network. Teachers are not built.
        checkpoint: of the distiller or of the network.
        out: the file to write, ``.pth`` or ``.safetensors``.
        input_shape: (C, H, W) of the random input on which outputs are
            compared; defaults to what preprocessor and network say
            (`mmkd.inputs`), else (3, 224, 224).
        onnx: ONNX file to write too; needs onnx and onnxruntime.
        allow_pickle: see `read_checkpoint`.
        peer: which peer of a cohort; defaults to the deployed one.

    Raises:
        ValueError: the checkpoint does not fit, or outputs differ.
        ImportError: a package that ONNX needs is missing.
    """
    saved = read_checkpoint(checkpoint, allow_pickle=allow_pickle)
    state = saved['state_dict']
    peer = resolve_peer(config, state, checkpoint, peer)
    plain = deployed_network(config, peer)
    source = build_source(config, peer)
    load_network_weights(
        source, checkpoint, peer=peer, weights=weights_of(config), state=state
    )
    save_plain(source, out, (saved.get('meta') or {}).get('dataset_meta'))
    write_config(config, out, peer)

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


def export_deployed(
    config: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    onnx: str | Path | None = None,
    peer: int | None = None,
    **options: Any,
) -> list[ExportReport]:
    """Write every network that a run deploys, as `export_student` does.

    That is one, or, of a cohort with ``deploy='all'``, every peer: then the
    files are named like ``student_peer0.pth``.

    Args: see `export_student`.
    """
    count = len(networks_of(config.model))
    deploy = Deployment.parse(config.model.get('deploy') if count else None)
    peers: dict[str, int | None] = {'': peer}
    if peer is None and count > 1 and deploy.peer == 'all':
        peers = {f'_peer{index}': index for index in range(count)}

    def named(path: str | Path, suffix: str) -> Path:
        return Path(path).with_stem(f'{Path(path).stem}{suffix}')

    return [
        export_student(
            config,
            checkpoint,
            named(out, suffix),
            onnx=None if onnx is None else named(onnx, suffix),
            peer=index,
            **options,
        )
        for suffix, index in peers.items()
    ]


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
    meta = dict(mmkd_version=__version__)
    if dataset_meta is not None:
        meta['dataset_meta'] = _plain(dataset_meta)
    write_weights(out, plain_state(network), meta)


def write_config(
    config: Config, out: str | Path, peer: int | None = None
) -> Path | None:
    """Write the config of a network beside its weights, if none has it.

    Args:
        config: of the run.
        out: the file of the weights; the config is called alike, ``.py``.
        peer: which peer of a cohort; defaults to the deployed one.

    Returns:
        The file; None (and nothing is written) where the networks have
        configs of their own.
    """
    if not writes_configs(config.get('model', {})):
        return None
    model = deployed_network(config, peer)
    scope = model.pop('_scope_', None)
    path = Path(out).with_suffix('.py')
    Config(dict(default_scope=scope, model=model)).dump(path)
    return path


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
