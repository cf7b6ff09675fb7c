"""A network with its taps and auxiliary heads: one side of a distillation."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import ModuleDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd.models.distillers.normalization import Renormalize
from mmkd.networks import build_network, freeze, load_network_weights
from mmkd.taps import Record, Taps, Tensors
from mmkd.utils.checkpoints import strip_prefix


def aux_head_inputs(config: Mapping[str, Any]) -> list[str]:
    """Return the names that an auxiliary head's ``on`` lists."""
    on = config['on']
    return [on] if isinstance(on, str) else list(on)


def build_aux_heads(
    configs: Mapping[str, Mapping[str, Any]], network: nn.Module
) -> ModuleDict:
    """Build auxiliary heads for ``network``.

    A head whose constructor takes ``backbone`` is given the network's.
    """
    heads = ModuleDict()
    for name, config in configs.items():
        cfg = dict(copy.deepcopy(dict(config)))
        cfg.pop('on')
        head_type = cfg.get('type')
        cls = (
            ROOT_MODELS.get(head_type)
            if isinstance(head_type, str)
            else head_type
        )
        takes = inspect.signature(cls).parameters if cls else {}
        if 'backbone' in takes and 'backbone' not in cfg:
            cfg['backbone'] = getattr(network, 'backbone', network)
        heads[name] = ROOT_MODELS.build(cfg)
    return heads


def named_tensors(
    record: Record | Mapping[str, Tensors],
    heads: ModuleDict,
    configs: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
) -> dict[str, Tensors]:
    """Return the tensors called ``wanted``: taps and heads' outputs."""
    tensors: dict[str, Tensors] = {}

    def find(name: str) -> Tensors:
        if name not in tensors:
            tensors[name] = (
                heads[name](*map(find, aux_head_inputs(configs[name])))
                if name in heads
                else record[name]
            )
        return tensors[name]

    for name in wanted:
        find(name)
    return tensors


def names_needed(
    wanted: Sequence[str], aux_configs: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """Split ``wanted`` into taps and auxiliary heads, with what these need.

    Returns:
        Tap names and auxiliary head names, each in order of first use.
    """
    taps: list[str] = []
    heads: list[str] = []

    def visit(name: str) -> None:
        if name not in aux_configs:
            if name not in taps:
                taps.append(name)
        elif name not in heads:
            for source in aux_head_inputs(aux_configs[name]):
                visit(source)
            heads.append(name)

    for name in wanted:
        visit(name)
    return taps, heads


class Teacher(nn.Module):
    """A frozen network with its taps and auxiliary heads.

    Always in eval mode, without gradients. A distiller keeps it outside its
    own modules: it is in no ``state_dict``, optimizer or averaged copy.

    Args:
        config: config name of the network, or a model dict.
        checkpoint: its weights; required.
        student_preprocessor: made the images that the teacher is shown.
        strict: refuse a checkpoint that does not fit exactly.
        allow_pickle: read a checkpoint with arbitrary objects.
        cfg_options: changes to the config.
        scope: repository of a model dict without ``_scope_``.
    """

    def __init__(
        self,
        config: Any,
        checkpoint: str,
        student_preprocessor: nn.Module,
        *,
        strict: bool = True,
        allow_pickle: bool = False,
        cfg_options: Mapping[str, Any] | None = None,
        scope: str | None = None,
    ) -> None:
        super().__init__()
        spec = config
        if isinstance(config, str):
            spec = dict(config=config, cfg_options=cfg_options)
        self.network = build_network(spec, scope)
        self._aux_weights = load_network_weights(
            self.network,
            checkpoint,
            strict=strict,
            allow_pickle=allow_pickle,
            role='teacher',
        )
        self.checkpoint = checkpoint
        own: Any = getattr(self.network, 'data_preprocessor', None)
        self.renormalize: nn.Module = nn.Identity()
        if getattr(own, 'mean', None) is not None:
            self.renormalize = Renormalize(student_preprocessor, own)
        self.aux_heads = ModuleDict()
        self.aux_configs: dict[str, Mapping[str, Any]] = {}
        self.taps = Taps(self.network, {})
        self.wanted: list[str] = []
        freeze(self)

    def attach(
        self,
        paths: Mapping[str, Any],
        aux_configs: Mapping[str, Mapping[str, Any]],
        wanted: Sequence[str],
    ) -> None:
        """Prepare the tensors called ``wanted`` (taps, auxiliary heads)."""
        tap_names, head_names = names_needed(wanted, aux_configs)
        self.wanted = list(wanted)
        self.taps = Taps(self.network, {n: paths[n] for n in tap_names})
        self.aux_configs = {name: aux_configs[name] for name in head_names}
        self.aux_heads = build_aux_heads(self.aux_configs, self.network)
        for name, head in self.aux_heads.items():
            weights = strip_prefix(self._aux_weights, f'aux_heads.{name}.')
            own = head.state_dict()
            if own.keys() != weights.keys():
                raise ValueError(
                    f'teacher checkpoint="{self.checkpoint}" has no weights '
                    f'of the auxiliary head "{name}" that the losses read on '
                    "the teacher's side: train the teacher with aux_heads="
                    f'dict({name}=...) first (OfflineDistiller, teacher=None)'
                )
            head.load_state_dict(weights)
        self._aux_weights = {}
        freeze(self)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> dict[str, Tensors]:
        """Return the wanted tensors for the student's images."""
        with self.taps.recording() as record:
            self.network(self.renormalize(images), mode='tensor')
        return named_tensors(
            record, self.aux_heads, self.aux_configs, self.wanted
        )

    def train(self, mode: bool = True) -> Teacher:
        """Stay in eval mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        """Share the frozen teacher between copies (averaged models)."""
        return self
