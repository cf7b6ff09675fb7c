"""Which modules are the stem and the stages of a backbone."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

_NAME = re.compile(r'^(stem|stage(?P<number>[1-9]\d*))$')


def stage_groups(backbone: Any) -> list[tuple[str, ...]]:
    """Return module names of stem (entry 0) and stages, in forward order.

    Known are backbones that say so by ``stage_names``, the ResNet, VGG,
    DenseNet, MobileNetV2 and ShuffleNet families of the task repositories,
    and those whose stages are entries of ``stages``.

    Raises:
        ValueError: the layout of the backbone is not known.
    """
    if hasattr(backbone, 'stage_names'):
        return [tuple(group) for group in backbone.stage_names]
    if hasattr(backbone, 'res_layers'):
        norm = getattr(backbone, 'norm1_name', 'bn1')
        names: tuple[str, ...] = ('conv1', norm, 'relu', 'maxpool')
        if getattr(backbone, 'deep_stem', False):
            names = ('stem', 'maxpool')
        stem = tuple(name for name in names if hasattr(backbone, name))
        return [stem, *((name,) for name in backbone.res_layers)]
    if hasattr(backbone, 'range_sub_modules'):
        prefix = backbone.module_name
        return [
            (),
            *(
                tuple(f'{prefix}.{index}' for index in range(*span))
                for span in backbone.range_sub_modules
            ),
        ]
    if hasattr(backbone, 'transitions') and hasattr(backbone, 'stages'):
        count = len(backbone.stages)
        pairs = [(f'stages.{k}', f'transitions.{k}') for k in range(count)]
        return [('stem',), *pairs]
    found = getattr(backbone, 'stages', None)
    if isinstance(found, nn.ModuleList):
        extra = hasattr(backbone, 'downsample_layers')
        return [
            ('patch_embed',) if hasattr(backbone, 'patch_embed') else (),
            *(
                (*([f'downsample_layers.{k}'] if extra else []), f'stages.{k}')
                for k in range(len(found))
            ),
        ]
    if isinstance(found, list) and all(isinstance(n, str) for n in found):
        return [('stem',), *((name,) for name in found)]
    layers = getattr(backbone, 'layers', None)
    stem = tuple(n for n in ('conv1', 'maxpool') if hasattr(backbone, n))
    if isinstance(layers, list) and all(isinstance(n, str) for n in layers):
        return [stem, *((name,) for name in layers)]
    if isinstance(layers, nn.ModuleList):
        return [stem, *((f'layers.{k}',) for k in range(len(layers)))]
    raise ValueError(
        f'cohort.shared: the stages of {type(backbone).__name__} are not '
        'known by name; list module paths instead, e.g. shared=['
        + ', '.join(
            f"'backbone.{name}'" for name, _ in backbone.named_children()
        )
        + '] up to where the peers part'
    )


def module_paths(network: nn.Module, names: list[str]) -> list[str]:
    """Turn ``['stem', 'stage1']`` or module paths into module paths.

    Raises:
        ValueError: a stage is missing, unknown, or named before an earlier
            one.
    """
    stages = [name for name in names if _NAME.match(name)]
    if not stages:
        return list(names)
    groups = stage_groups(network.backbone)
    paths: list[str] = []
    for name in names:
        match = _NAME.match(name)
        if match is None:
            paths.append(name)
            continue
        number = int(match['number'] or 0)
        if number >= len(groups):
            raise ValueError(
                f'cohort.shared names {name}, but '
                f'{type(network.backbone).__name__} has '
                f'{len(groups) - 1} stages'
            )
        paths += [f'backbone.{module}' for module in groups[number]]
    return paths


def check_prefix(network: nn.Module, names: list[str]) -> None:
    """Refuse shared stages that start behind the input.

    Args:
        names: all shared names, of all levels.

    Raises:
        ValueError: e.g. stage 2 is shared but stage 1 is not.
    """
    matches = [match for match in map(_NAME.match, names) if match]
    if not matches:
        return
    module_paths(network, names)  # all of them exist
    numbers = {int(match['number'] or 0) for match in matches}
    if not stage_groups(network.backbone)[0]:
        numbers.add(0)  # nothing precedes stage 1
    for number in range(max(numbers)):
        if number not in numbers:
            earlier = f'stage{number}' if number else 'stem'
            raise ValueError(
                f'cohort.shared: stage{max(numbers)} is shared but {earlier} '
                'is not; what is shared starts at the input: add '
                f'"{earlier}"'
            )
