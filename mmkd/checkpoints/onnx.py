"""A network as ONNX file, checked against the network."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmkd.checkpoints.verify import raw_outputs

TOLERANCE = 1e-3
_NEEDED = ('onnx', 'onnxruntime')


def export_onnx(
    network: nn.Module, inputs: torch.Tensor, out: str | Path
) -> float:
    """Write ``network`` (``mode='tensor'``) as ONNX and compare outputs.

    The number of images is free, height and width are those of ``inputs``.
    Normalisation stays outside: the file expects what the data preprocessor
    gives.

    Args:
        network: in eval mode.
        inputs: (N, C, H, W).
        out: the file to write.

    Returns:
        The largest difference of an output, relative to the largest value
        of this output.

    Raises:
        ImportError: onnx or onnxruntime is missing.
        ValueError: the network cannot be traced, or the outputs differ.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'--onnx needs {", ".join(missing)}, which is not installed: '
            f'pip install {" ".join(missing)}'
        )
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    wrapped = _Raw(network).eval()  # the mode that torch restores
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # about constants in traced shapes
        count = len(wrapped(inputs))
        names = [f'output{index}' for index in range(count)]
        try:
            torch.onnx.export(
                wrapped,
                (inputs,),
                str(path),
                input_names=['input'],
                output_names=names,
                dynamic_axes={n: {0: 'batch'} for n in ['input', *names]},
                opset_version=17,
                **_tracing(),
            )
        except Exception as error:  # of any layer or operator
            raise ValueError(
                f'--onnx: {type(network).__name__} has no ONNX form '
                f'({type(error).__name__}: {error}); leave --onnx out, or '
                'export the plain checkpoint with the tool of its repository '
                '(mmdeploy)'
            ) from error
    return compare_onnx(path, network, inputs)


@torch.no_grad()
def compare_onnx(
    path: str | Path, network: nn.Module, inputs: torch.Tensor
) -> float:
    """Compare what an ONNX file and a network give for images.

    Args:
        path: of the file.
        network: in eval mode.
        inputs: (N, C, H, W); the first one is tried alone, too.

    Returns:
        The largest difference of an output, relative to the largest value
        of this output.

    Raises:
        ValueError: it is too large.
    """
    wanted = _Raw(network)(inputs)
    found = _run_onnx(Path(path), inputs)
    single = _run_onnx(Path(path), inputs[:1])
    deviation = max(
        max(
            _deviation(one, two),
            _deviation(one[: len(three)], three),
        )
        for one, two, three in zip(wanted, found, single, strict=True)
    )
    if not deviation <= TOLERANCE:
        raise ValueError(
            f'--onnx {path}: outputs differ from the network by '
            f'{deviation:.3g} of the largest value (allowed {TOLERANCE}); '
            'a layer of it has no exact ONNX form'
        )
    return deviation


class _Raw(nn.Module):
    """A network as function from images to a flat tuple of tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(raw_outputs(self.network, inputs))


def _tracing() -> dict[str, Any]:
    """Ask for the tracing exporter, which all supported torch have."""
    version = tuple(int(part) for part in torch.__version__.split('.')[:2])
    return dict(dynamo=False) if version >= (2, 5) else {}


def _run_onnx(path: Path, inputs: torch.Tensor) -> list[torch.Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
    results = session.run(None, {'input': inputs.numpy()})
    return [torch.from_numpy(result) for result in results]


def _deviation(one: torch.Tensor, two: torch.Tensor) -> float:
    scale = max(float(one.abs().max()), 1e-12)
    return float((one - two).abs().max()) / scale
