"""Does a repository load an exported network without mmkd?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

# Run in a fresh process that never imports mmkd.
_PROGRAM = """
import sys
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
import mmseg.models
from mmseg.registry import MODELS

config, checkpoint, inputs, outputs = sys.argv[1:]
init_default_scope('mmseg')
network = MODELS.build(Config.fromfile(config).model).eval()
state = torch.load(checkpoint, map_location='cpu', weights_only=True)
network.load_state_dict(state['state_dict'], strict=True)
with torch.no_grad():
    torch.save(network(torch.load(inputs), mode='tensor'), outputs)
if 'mmkd' in sys.modules:
    raise SystemExit('mmkd was imported')
"""


def equal_in_plain_mmseg(
    network: nn.Module,
    config: str | Path,
    weights: str | Path,
    input_shape: tuple[int, int, int] = (3, 96, 96),
) -> bool:
    """Whether plain mmsegmentation gives the outputs of ``network``.

    A fresh process builds the config and loads the weights strictly.

    Args:
        network: what was trained, in eval mode.
        config: file whose ``model`` mmsegmentation can build.
        weights: plain checkpoint.
        input_shape: (C, H, W) of the two random images compared.

    Returns:
        True if the outputs agree to 1e-5.

    Raises:
        RuntimeError: the network cannot be built, or a key is missing or
            unexpected, or mmkd was needed.
    """
    images = torch.randn(2, *input_shape)
    with torch.no_grad():
        expected = network(
            images.to(next(network.parameters()).device), mode='tensor'
        ).cpu()
    with TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / 'inputs', Path(folder) / 'outputs'
        torch.save(images, inputs)
        files = (config, weights, inputs, outputs)
        done = subprocess.run(
            [sys.executable, '-c', _PROGRAM]
            + [str(Path(file).resolve()) for file in files],
            capture_output=True,
            text=True,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'},
        )
        if done.returncode:
            raise RuntimeError(
                f'plain mmsegmentation cannot load {weights} with {config}: '
                f'{done.stderr[-2000:]}'
            )
        found = torch.load(outputs, weights_only=True)
    return torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
