"""The files that a compact network is loaded from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmkd.checkpoints.write import plain_state, write_weights
from mmkd.pruning import standalone_loader
from mmkd.pruning.compaction.forward import Forward, outputs_of
from mmkd.pruning.compaction.plan import Plan
from mmkd.pruning.compaction.verify import CompactionError, relative_error
from mmkd.pruning.plain import as_json


def write_compact(
    network: nn.Module, plan: Plan, meta: Mapping[str, Any], folder: Path
) -> None:
    """Write ``compact.pth``, ``plan.json`` and ``loader.py``.

    Args:
        network: the compact one.
        plan: that it was cut with.
        meta: goes into ``compact.pth``, beside plan and type of the
            weights; plain types. The loader needs ``config``.
        folder: exists.
    """
    dtype = str(next(network.parameters()).dtype).removeprefix('torch.')
    meta = dict(meta, pruning_plan=plan, dtype=dtype)
    write_weights(folder / 'compact.pth', plain_state(network), meta)
    (folder / 'plan.json').write_text(as_json(plan))
    shutil.copy(standalone_loader.__file__, folder / 'loader.py')


def check_compact(
    folder: Path, network: nn.Module, inputs: Tensor, forward: Forward
) -> None:
    """Load what `write_compact` wrote and compare it bit for bit.

    Args:
        folder: of the files.
        network: that was written.
        inputs: (N, C, H, W).
        forward: runs a network.

    Raises:
        CompactionError: an output differs.
    """
    loaded = standalone_loader.load(folder)
    wanted = outputs_of(network, inputs, forward)
    found = outputs_of(loaded, inputs, forward)
    for index, (one, two) in enumerate(zip(wanted, found, strict=True)):
        if not torch.equal(one, two):
            raise CompactionError(
                f'the written network differs in output {index} by up to '
                f'{relative_error(one, two):.3g} of its largest value; '
                'nothing was written'
            )
