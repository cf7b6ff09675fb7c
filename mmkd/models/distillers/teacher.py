"""A frozen teacher: its network, taps and auxiliary heads."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from mmengine.model import ModuleDict
from torch import nn

from mmkd.checkpoints.read import strip_prefix
from mmkd.models.distillers.normalization import Renormalize
from mmkd.models.distillers.sides import (
    build_aux_heads,
    named_tensors,
    names_needed,
)
from mmkd.networks import (
    build_network,
    freeze,
    load_network_weights,
    network_dict,
)
from mmkd.taps import Taps, Tensors

_KEYS = {
    'config', 'checkpoint', 'strict', 'allow_pickle', 'cfg_options', 'peer',
    'dtype',
}  # fmt: skip

_HALF = dict(float16=torch.float16, bfloat16=torch.bfloat16)


def build_teachers(
    given: Any, student_preprocessor: nn.Module, scope: str
) -> tuple[Teacher, ...]:
    """Build the teachers of a config.

    Args:
        given: ``dict(config=..., checkpoint=...)``, a list of those, or
            None.
        student_preprocessor: makes the images that they are shown.
        scope: repository of model dicts without ``_scope_``.

    Returns:
        A tuple, so that a module that keeps it does not register them.

    Raises:
        KeyError: a key is missing or unknown.
    """
    if given is None:
        return ()
    specs = given if isinstance(given, (list, tuple)) else [given]
    teachers = []
    for spec in specs:
        if not isinstance(spec, Mapping) or not (
            spec.get('config') and spec.get('checkpoint')
        ):
            raise KeyError(
                f'model.teacher={spec!r}: give dict(config=..., '
                'checkpoint=...), a list of those, or None'
            )
        unknown = sorted(set(spec) - _KEYS)
        if unknown:
            raise KeyError(
                f'model.teacher has the unknown key {", ".join(unknown)}; '
                f'known: {", ".join(sorted(_KEYS))}'
            )
        teachers.append(
            Teacher(
                student_preprocessor=student_preprocessor,
                scope=scope,
                **copy.deepcopy(dict(spec)),
            )
        )
    return tuple(teachers)


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
        peer: which peer, if the config is a cohort's.
        dtype: ``'float16'`` or ``'bfloat16'`` to keep and run the teacher in
            half precision; losses compute in float32 all the same.

    Raises:
        ValueError: another dtype, or the checkpoint does not fit.
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
        peer: int | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__()
        if cfg_options and not isinstance(config, str):
            raise ValueError(
                f'teacher.cfg_options={dict(cfg_options)} change a config '
                'given by name, but teacher.config is a dict: change the dict'
            )
        if isinstance(config, str):
            config = dict(config=config, cfg_options=cfg_options)
        model = network_dict(config, scope, peer)
        self.network = build_network(model)
        self._aux_weights = load_network_weights(
            self.network,
            checkpoint,
            strict=strict,
            allow_pickle=allow_pickle,
            role='teacher',
            peer=peer,
        )
        self.checkpoint = checkpoint
        self.renormalize: nn.Module = nn.Identity()
        if model.get('data_preprocessor') is not None:
            own: Any = self.network.data_preprocessor
            self.renormalize = Renormalize(student_preprocessor, own)
        if dtype not in (None, *_HALF):
            raise ValueError(
                f"teacher.dtype='{dtype}' must be one of {', '.join(_HALF)}, "
                'or left out'
            )
        self.dtype = _HALF[dtype] if dtype else None
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
            if weights and {k: v.shape for k, v in own.items()} != {
                k: v.shape for k, v in weights.items()
            }:
                raise ValueError(
                    f'teacher checkpoint="{self.checkpoint}": its auxiliary '
                    f'head "{name}" is of other form than aux_heads.{name} '
                    'of this config: use the settings that it was trained '
                    'with'
                )
            if own and not weights:
                raise ValueError(
                    f'teacher checkpoint="{self.checkpoint}" has no weights '
                    f'of the auxiliary head "{name}" that the losses read on '
                    "the teacher's side: train the teacher with aux_heads="
                    f'dict({name}=...) first (OfflineDistiller, teacher=None)'
                )
            head.load_state_dict(weights)
        self._aux_weights = {}
        if self.dtype is not None:
            self.network.to(self.dtype)
            self.aux_heads.to(self.dtype)
        freeze(self)

    @torch.no_grad()
    def forward(
        self, images: torch.Tensor, data_samples: list | None = None
    ) -> dict[str, Tensors]:
        """Return the wanted tensors for the student's images.

        Two-stage and query detectors read the image sizes of
        ``data_samples``; labels are not used.
        """
        with self.taps.recording() as record:
            self.outputs(images, data_samples)
        with self._precision(images):
            return named_tensors(
                record, self.aux_heads, self.aux_configs, self.wanted
            )

    def outputs(
        self, images: torch.Tensor, data_samples: list | None = None
    ) -> Any:
        """Return the network's own outputs for the student's images."""
        images = self.renormalize(images)
        if self.dtype is not None:
            images = images.to(self.dtype)
        with self._precision(images):
            return self.network(images, data_samples, mode='tensor')

    def _precision(self, images: torch.Tensor) -> Any:
        """Return the autocast of a half-precision teacher.

        It replaces the student's; without, layers whose result is float32
        (norms of transformers) could not feed the next one.
        """
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(images.device.type, dtype=self.dtype)

    def train(self, mode: bool = True) -> Teacher:
        """Stay in eval mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        """Share the frozen teacher between copies (averaged models)."""
        return self
