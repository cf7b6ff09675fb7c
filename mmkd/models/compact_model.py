"""A pruned network without its zero filters, as a ``model`` of a config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.model import BaseModule
from torch import nn

from mmkd.networks import NetworkSpec, build_network, network_dict
from mmkd.pruning.standalone_loader import apply_plan
from mmkd.registry import MODELS


@MODELS.register_module(name='CompactModel')
def compact_model(
    architecture: NetworkSpec,
    plan: str | Path | Mapping[str, Any],
    init_cfg: dict[str, Any] | None = None,
    data_preprocessor: dict[str, Any] | None = None,
) -> nn.Module:
    """Build a network and cut its layers to what ``plan`` keeps.

    The network itself is returned, with its own class and key names, so
    that ``compact.pth`` of ``tools/prune_export.py`` loads strictly.

    Args:
        architecture: the network at full width, see `network_dict`. A
            distiller's model stands for its student or deployed peer.
        plan: ``plan.json``, or what it holds.
        init_cfg: replaces that of the network and of all its parts, e.g.
            ``dict(type='Pretrained', checkpoint='.../compact.pth')``.
        data_preprocessor: for an architecture without one.

    Raises:
        FileNotFoundError: there is no such plan.
        ValueError: the plan is of another network.
    """
    spec = network_dict(architecture)
    if data_preprocessor is not None:
        spec.setdefault('data_preprocessor', data_preprocessor)
    network = apply_plan(build_network(spec), _read(plan))
    if init_cfg is not None:
        for module in network.modules():
            if isinstance(module, BaseModule):
                module.init_cfg = None  # perhaps a file of the full width
        root: Any = network
        root.init_cfg = init_cfg
    return network


def _read(plan: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(plan, Mapping):
        return dict(plan)
    path = Path(plan)
    if not path.is_file():
        raise FileNotFoundError(
            f'model.plan="{plan}" does not exist: give plan.json of the '
            'folder that tools/prune_export.py wrote'
        )
    found: dict[str, Any] = json.loads(path.read_text())
    return found
