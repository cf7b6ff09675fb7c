"""A frozen teacher: its weights, its precision, how it sees images."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.model import ModuleDict
from torch import nn

from mmkd.checkpoints.read import strip_prefix
from mmkd.deploy import load_network_weights
from mmkd.models.distillers.normalization import Renormalize
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.wiring import Wiring
from mmkd.networks import build_network, freeze, network_dict

_KEYS = {
    'config', 'checkpoint', 'strict', 'allow_pickle', 'cfg_options', 'peer',
    'dtype',
}  # fmt: skip

_HALF = dict(float16=torch.float16, bfloat16=torch.bfloat16)


def build_teacher(
    spec: Any, student_preprocessor: nn.Module, scope: str
) -> Teacher:
    """Build one teacher of a config.

    Args:
        spec: ``dict(config=..., checkpoint=...)``.
        student_preprocessor: makes the images that it is shown.
        scope: repository of model dicts without ``_scope_``.

    Raises:
        KeyError: a key is missing or unknown.
    """
    if not isinstance(spec, Mapping) or not (
        spec.get('config') and spec.get('checkpoint')
    ):
        raise KeyError(
            f'model.teacher={spec!r}: give dict(config=..., checkpoint=...), '
            'a list of those, or None'
        )
    if not isinstance(spec['checkpoint'], str):
        raise TypeError(
            f'model.teacher.checkpoint={spec["checkpoint"]!r} must be the '
            'path of a file'
        )
    unknown = sorted(set(spec) - _KEYS)
    if unknown:
        raise KeyError(
            f'model.teacher has the unknown key {", ".join(unknown)}; '
            f'known: {", ".join(sorted(_KEYS))}'
        )
    return Teacher(
        student_preprocessor=student_preprocessor,
        scope=scope,
        **copy.deepcopy(dict(spec)),
    )


def _how_to_train(config: Any) -> str:
    """Return the command that trains a network, if its config is a file."""
    name = config.get('config') if isinstance(config, Mapping) else None
    if not isinstance(name, str):
        return 'train the teacher first'
    options = ' '.join(
        f'{key}={value}'
        for key, value in (config.get('cfg_options') or {}).items()
    )
    changes = f' --cfg-options {options}' if options else ''
    return f'train the teacher first (python tools/train.py {name}{changes})'


class Teacher(nn.Module):
    """A frozen network that is shown the student's images.

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
        try:
            self._head_weights = load_network_weights(
                self.network,
                checkpoint,
                strict=strict,
                allow_pickle=allow_pickle,
                role='teacher',
                peer=peer,
            )
        except FileNotFoundError:
            raise FileNotFoundError(
                f'model.teacher.checkpoint="{checkpoint}" does not exist: '
                f'{_how_to_train(config)}, or correct the path (relative '
                'paths start at the folder the command runs in)'
            ) from None
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
        freeze(self)

    def role(self, label: str, wiring: Wiring) -> Role:
        """Return its role in a distiller."""
        return Role(
            label,
            self.network,
            wiring,
            entry=self,
            context=self.frozen,
            state=f'frozen, {self.checkpoint}',
            fixed=True,
        )

    def take_heads(self, heads: ModuleDict) -> None:
        """Keep auxiliary heads, with the weights of the checkpoint.

        Raises:
            ValueError: it has none, or of other form.
        """
        self.aux_heads = heads
        for name, head in heads.items():
            weights = strip_prefix(self._head_weights, f'aux_heads.{name}.')
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
        self._head_weights = {}
        if self.dtype is not None:
            self.network.to(self.dtype)
            self.aux_heads.to(self.dtype)
        freeze(self)

    def forward(
        self,
        images: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Return the network's output for the student's images."""
        images = self.renormalize(images)
        if self.dtype is not None:
            images = images.to(self.dtype)
        return self.network(images, data_samples, mode=mode)

    @contextmanager
    def frozen(self, images: torch.Tensor) -> Iterator[None]:
        """Run without gradients; in half precision, in its own autocast.

        That replaces the student's; without, layers whose result is float32
        (norms of transformers) could not feed the next one.
        """
        precision: Any = nullcontext()
        if self.dtype is not None:
            precision = torch.autocast(images.device.type, dtype=self.dtype)
        with torch.no_grad(), precision:
            yield

    def train(self, mode: bool = True) -> Teacher:
        """Stay in eval mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        """Share the frozen teacher between copies (averaged models)."""
        return self
