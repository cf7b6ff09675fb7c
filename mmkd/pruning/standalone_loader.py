"""Load a compact network: needs torch and the network's own repository.

    from loader import load
    network = load()           # compact.pth beside this file, in eval mode

The network is built from the configuration in ``compact.pth``, its layers
are cut to the recorded channels, and the weights are loaded strictly.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

# Name, or repository.Name, of a class in a config.
_CLASS = re.compile(r'\w+|mm\w+\.[A-Z]\w*')


class ScatterNorm(nn.BatchNorm2d):
    """Batch norm of some channels, constants in place of the others.

    Args:
        norm: of all channels C.
        keep: indices of the channels that are in the input.

    Shape:
        input: (N, len(keep), H, W).
        returns: (N, C, H, W).
    """

    const: torch.Tensor
    keep: torch.Tensor

    def __init__(self, norm: nn.BatchNorm2d, keep: list[int]) -> None:
        super().__init__(
            len(keep),
            norm.eps,
            norm.momentum,
            norm.affine,
            norm.track_running_stats,
        )
        index = torch.tensor(keep)
        full = norm.state_dict()
        for name, entry in self.state_dict().items():
            value = full[name]
            entry.data = value[index].clone() if value.ndim else value.clone()
            if name in dict(self.named_parameters()):
                self.get_parameter(name).data = entry.data
            else:
                self.register_buffer(name, entry.data)
        const = torch.zeros(1, norm.num_features, 1, 1)
        dtype = full['running_mean'].dtype
        self.register_buffer('keep', index)
        self.register_buffer('const', const.to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (N, len(keep), H, W) and spread it to (N, C, H, W)."""
        x = super().forward(x)
        full = self.const.to(x.dtype).repeat(x.shape[0], 1, *x.shape[2:])
        full[:, self.keep] = x
        return full


def apply_plan(network: nn.Module, plan: dict[str, Any]) -> nn.Module:
    """Cut the layers of ``network`` in place to what ``plan`` keeps.

    Args:
        network: as its configuration builds it.
        plan: ``plan.json``, or ``meta['pruning_plan']`` of ``compact.pth``.

    Returns:
        ``network``.

    Raises:
        ValueError: the plan is of another network.
    """
    modules = dict(network.named_modules())
    for name, entry in plan['modules'].items():
        if name not in modules:
            raise ValueError(
                f'the plan cuts "{name}", which this '
                f'{type(network).__name__} does not have: use the '
                'configuration that the network was pruned with'
            )
        _cut(modules[name], entry, name)
    for name, entry in plan['scatter'].items():
        parent, _, last = name.rpartition('.')
        norm = ScatterNorm(modules[name], entry['keep'])
        norm.train(modules[name].training)
        setattr(network.get_submodule(parent), last, norm)
    return network


def load(
    folder: str | Path | None = None, map_location: str = 'cpu'
) -> nn.Module:
    """Build the compact network of ``folder`` and load its weights.

    Args:
        folder: that of ``compact.pth``; defaults to that of this file.
        map_location: see ``torch.load``.

    Returns:
        The network in eval mode.

    Raises:
        ValueError: the file asks for what is no class of a repository.
    """
    from mmengine.config import ConfigDict
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS, DefaultScope, init_default_scope

    path = Path(folder or Path(__file__).parent) / 'compact.pth'
    saved = torch.load(path, map_location=map_location, weights_only=True)
    config = saved['meta']['config']
    if DefaultScope.get_current_instance() is None:
        init_default_scope(config['default_scope'])
    _refuse_functions(config)
    network = MODELS.build(ConfigDict(config['model']))
    network = revert_sync_batchnorm(network)
    network.to(getattr(torch, saved['meta']['dtype']))
    apply_plan(network, saved['meta']['pruning_plan'])
    network.load_state_dict(saved['state_dict'], strict=True)
    return network.to(map_location).eval()


def _refuse_functions(config: Any) -> None:
    """Let the file name classes only: ``type='os.system'`` would run."""
    if isinstance(config, (list, tuple)):
        config = dict(enumerate(config))
    if not isinstance(config, dict):
        return
    kind = config.get('type')
    if isinstance(kind, str) and not _CLASS.fullmatch(kind):
        raise ValueError(
            f'compact.pth: type="{kind}" is no class of a repository; such a '
            'file was not written by the export: get it again'
        )
    for value in config.values():
        _refuse_functions(value)


def _cut(module: nn.Module, entry: dict[str, Any], name: str) -> None:
    for key in _ATTRIBUTES:
        old = entry.get(key, [None])[0]
        for attribute in _ATTRIBUTES[key]:
            found = getattr(module, attribute, old)
            if old is not None and found != old:
                raise ValueError(
                    f'the plan expects {attribute}={old} in "{name}", but '
                    f'the network has {found}: use the configuration that '
                    'the network was pruned with'
                )
    if entry.get('bias') and module.bias is None:
        zeros = module.weight.new_zeros(entry['out_channels'][0])
        module.bias = nn.Parameter(zeros)
    keep_out, keep_in = entry.get('keep_out'), entry.get('keep_in')
    weight = module._parameters.get('weight')
    if weight is not None:
        _set(module, 'weight', _cut_weight(module, weight, keep_out, keep_in))
    if keep_out is not None:
        for key in ('bias', 'running_mean', 'running_var'):
            value = getattr(module, key, None)
            if value is not None:
                _set(module, key, value[keep_out])
    for key in _ATTRIBUTES:
        for attribute in _ATTRIBUTES[key]:
            if key in entry and hasattr(module, attribute):
                setattr(module, attribute, entry[key][1])
    if 'groups' in entry:
        module.groups = entry['groups'][1]


_ATTRIBUTES = dict(
    in_channels=('in_channels', 'in_features'),
    out_channels=(
        'out_channels',
        'out_features',
        'num_features',
        'num_parameters',
    ),
    new_channels=('new_channels',),
)


def _set(module: nn.Module, key: str, value: torch.Tensor) -> None:
    old = getattr(module, key)
    value = value.detach().clone()
    if isinstance(old, nn.Parameter):
        value = nn.Parameter(value, requires_grad=old.requires_grad)
    setattr(module, key, value)


def _cut_weight(
    module: nn.Module,
    weight: torch.Tensor,
    keep_out: list[int] | None,
    keep_in: list[int] | None,
) -> torch.Tensor:
    """Return the rows and columns of ``weight`` that are kept."""
    groups = getattr(module, 'groups', 1)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        weight = weight if keep_in is None else weight[keep_in]
        return weight if keep_out is None else weight[:, keep_out]
    rows = range(len(weight)) if keep_out is None else keep_out
    cut = weight[list(rows)]
    if keep_in is None or weight.shape[1:2] == (1,) and groups > 1:
        return cut
    if groups == 1:
        return cut[:, keep_in]
    height, width = len(weight) // groups, weight.shape[1]
    columns = [
        [j - g * width for j in keep_in if j // width == g]
        for g in range(groups)
    ]
    return torch.stack(
        [row[columns[o // height]] for o, row in zip(rows, cut, strict=True)]
    )
