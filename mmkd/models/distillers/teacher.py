"""A frozen teacher: its weights, its precision, how it sees images."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.model import ModuleDict
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd.checkpoints.pretrained import check_pretrained
from mmkd.checkpoints.read import strip_prefix
from mmkd.deploy import load_network_weights
from mmkd.models.distillers.compiling import compile_between
from mmkd.models.distillers.normalization import Renormalize
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.wiring import Wiring
from mmkd.models.features import FeatureTeacher
from mmkd.networks import NetworkSpec, build_network, freeze, network_dict
from mmkd.preprocessors import image_channels
from mmkd.utils.types import type_name

# How a teacher runs, whatever its network is.
_RUN = {'dtype', 'compile', 'channels_last', 'batch_statistics'}
_KEYS = {
    'config', 'checkpoint', 'strict', 'allow_pickle', 'cfg_options', 'peer',
    *_RUN,
}  # fmt: skip

_HALF = dict(float16=torch.float16, bfloat16=torch.bfloat16)


def build_teacher(
    spec: Any,
    student_preprocessor: nn.Module,
    scope: str,
    channels: int | None = None,
) -> Teacher:
    """Build one teacher of a config.

    Args:
        spec: ``dict(config=..., checkpoint=...)``, or
            ``dict(type='mmkd.FeatureTeacher', ...)``.
        student_preprocessor: makes the images that it is shown.
        scope: repository of model dicts without ``_scope_``.
        channels: of these images.

    Raises:
        KeyError: a key is missing or unknown.
    """
    if isinstance(spec, Mapping) and _is_feature_teacher(spec):
        network = {k: v for k, v in spec.items() if k not in _RUN}
        running = {k: v for k, v in spec.items() if k in _RUN}
        spec = dict(config=network, checkpoint=None, **running)
    given = isinstance(spec, Mapping) and bool(spec.get('config'))
    for key in sorted(set(spec) - _KEYS) if given else ():
        near = difflib.get_close_matches(key, _KEYS, n=1)
        raise KeyError(
            f'model.teacher has the unknown key {key}'
            + (f'; nearest: {near[0]}' if near else '')
            + f'; known: {", ".join(sorted(_KEYS))}'
        )
    if not given or 'checkpoint' not in spec or spec['checkpoint'] == '':
        raise KeyError(
            f'model.teacher={spec!r}: give dict(config=..., checkpoint=...), '
            'a list of those, or None; checkpoint=None in it asks for the '
            'weights that its config starts from (init_cfg, pretrained=True)'
        )
    if not isinstance(spec['checkpoint'], str | None):
        raise TypeError(
            f'model.teacher.checkpoint={spec["checkpoint"]!r} must be the '
            'path of a file, an address, or None'
        )
    return Teacher(
        student_preprocessor=student_preprocessor,
        scope=scope,
        channels=channels,
        **copy.deepcopy(dict(spec)),
    )


def _is_feature_teacher(spec: Mapping[str, Any]) -> bool:
    return type_name(spec.get('type')) == FeatureTeacher.__name__


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

    Always in eval mode (see ``batch_statistics``), without gradients. A
    distiller keeps it outside its own modules: it is in no ``state_dict``,
    optimizer or averaged copy.

    Args:
        config: config name of the network, or a model dict.
        checkpoint: its weights, a file or an address (`read_address`). None:
            those that the network starts from by itself (``init_cfg``,
            ``pretrained=True`` of timm); what is random is the same in every
            run.
        student_preprocessor: made the images that the teacher is shown.
        strict: refuse a checkpoint that does not fit exactly.
        allow_pickle: read a checkpoint with arbitrary objects.
        cfg_options: changes to the config.
        scope: repository of a model dict without ``_scope_``.
        channels: of these images.
        peer: which peer, if the config is a cohort's.
        dtype: ``'float16'`` or ``'bfloat16'`` to keep and run the teacher in
            half precision; losses compute in float32 all the same.
        batch_statistics: batch norms take mean and variance of the batch, as
            if they were trained; the running ones stay as they are.
        compile: True, or arguments of ``torch.compile``: the parts of the
            network between taps are compiled when they first run.
        channels_last: keep weights and images as (N, H, W, C) in memory.

    Raises:
        ValueError: another dtype, images of other channels, no batch norm
            to take statistics, or the checkpoint does not fit.
    """

    def __init__(
        self,
        config: Any,
        checkpoint: str | None,
        student_preprocessor: nn.Module,
        *,
        strict: bool = True,
        allow_pickle: bool = False,
        cfg_options: Mapping[str, Any] | None = None,
        scope: str | None = None,
        channels: int | None = None,
        peer: int | None = None,
        dtype: str | None = None,
        batch_statistics: bool = False,
        compile: bool | Mapping[str, Any] = False,
        channels_last: bool = False,
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
        self._head_weights: dict[str, torch.Tensor] = {}
        if checkpoint is None:
            self.network = _initial(model)
        else:
            self.network = build_network(model)
        _require_channels(self.network, channels)
        if checkpoint is not None:
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
                    f'model.teacher.checkpoint="{checkpoint}" does not '
                    f'exist: {_how_to_train(config)}, or correct the path '
                    '(relative paths start at the folder the command runs '
                    'in)'
                ) from None
        self.checkpoint = checkpoint or 'own initial weights'
        self.renormalize: nn.Module = nn.Identity()
        own: Any = self.network
        if isinstance(own, FeatureTeacher):
            self.checkpoint = own.origin
        elif model.get('data_preprocessor') is None:
            own = None
        if own is not None:
            self.renormalize = Renormalize(
                student_preprocessor, own.data_preprocessor
            )
        if dtype not in (None, *_HALF):
            raise ValueError(
                f"teacher.dtype='{dtype}' must be one of {', '.join(_HALF)}, "
                'or left out'
            )
        self.dtype = _HALF[dtype] if dtype else None
        self.memory_format = torch.contiguous_format
        if channels_last:
            self.memory_format = torch.channels_last
        self.compile_options = _compile_options(compile)
        self.aux_heads = ModuleDict()
        self._norms = _batch_norms(self.network) if batch_statistics else []
        freeze(self)
        self.train()

    def role(self, label: str, wiring: Wiring) -> Role:
        """Return its role in a distiller."""
        role = Role(
            label,
            self.network,
            wiring,
            entry=self,
            context=self.frozen,
            learns=False,
            state=f'frozen, {self.checkpoint}',
            fixed=True,
        )
        self._tapped = {
            path.module for paths in role.taps.paths.values() for path in paths
        }
        return role

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
        self.network.to(memory_format=self.memory_format)  # type: ignore
        if self.compile_options is not None:
            compile_between(self.network, self._tapped, self.compile_options)
        freeze(self)
        self.train()

    def forward(
        self,
        images: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Return the network's output for the student's images."""
        if self._device() != images.device:  # FSDP moves what it shards alone
            self.to(images.device)
        images = self.renormalize(images)
        if self.dtype is not None:
            images = images.to(self.dtype)
        if images.ndim == 4:
            images = images.contiguous(memory_format=self.memory_format)
        return self.network(images, data_samples, mode=mode)

    def _device(self) -> torch.device | None:
        found = next(self.network.parameters(), None)
        return None if found is None else found.device

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
        """Stay in eval mode, but for batch norms that read the batch."""
        super().train(False)
        for norm in self._norms:
            norm.training = True
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        """Share the frozen teacher between copies (averaged models)."""
        return self


def _compile_options(given: Any) -> dict[str, Any] | None:
    """Return arguments of ``torch.compile``; None: leave as it is.

    Raises:
        TypeError: neither True or False nor a dict.
    """
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, bool):
        raise TypeError(
            f'model.teacher.compile={given!r} must be True, False or a dict '
            "with arguments of torch.compile, e.g. dict(mode='max-autotune')"
        )
    return {} if given else None


def _initial(model: NetworkSpec) -> nn.Module:
    """Build a network with the weights that it starts from.

    It is in no checkpoint, so a resumed run draws what is random anew, and
    must draw the same.

    Raises:
        FileNotFoundError, ValueError: see `check_pretrained`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(model)
        check_pretrained(network)
        initialize: Any = getattr(network, 'init_weights', None)
        if initialize is not None:
            initialize()
    return network


def _batch_norms(network: nn.Module) -> list[nn.Module]:
    """Return the batch norms, which no longer change their statistics.

    Raises:
        ValueError: there is none.
    """
    found = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    if not found:
        raise ValueError(
            'model.teacher.batch_statistics=True, but the teacher '
            f'({type(network).__name__}) has no batch norm: leave it out'
        )
    for norm in found:
        norm.track_running_stats = False  # read the batch, keep the buffers
    return list(found)


def _require_channels(network: nn.Module, shown: int | None) -> None:
    """Refuse a teacher that wants images of other channels.

    Raises:
        ValueError: gives both numbers.
    """
    wanted = image_channels(network)
    if None not in (wanted, shown) and wanted != shown:
        raise ValueError(
            f'model.teacher ({type(network).__name__}) takes images of '
            f'{wanted} channel(s), but those of the student have {shown}: '
            'both see the same images, so give a teacher for such images '
            '(in_channels of its backbone, mean and std of its '
            'data_preprocessor)'
        )
