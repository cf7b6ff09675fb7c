"""Networks with fewer channels, by the settings that say their widths."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.registry import task_scope

#: constructor arguments that say how wide a backbone is, the best first
ARGUMENTS = (
    'stage_channels',
    'growth_rate',
    'widen_factor',
    'width_factor',
    'base_channels',
)


def scale_width(
    network: Mapping[str, Any],
    ratio: Fraction | float,
    stages: int | None = None,
    width: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the dict of a network with ``ratio`` times as many channels.

    Numbers of channels are truncated to whole ones; a factor
    (``widen_factor``) is multiplied. Depth and strides stay, and so does the
    stem, where it has a width of its own.

    Args:
        network: dict with a ``backbone``.
        ratio: in (0, 1]; j / n gives what integer division does.
        stages: how many stages are scaled, from the last; None is all.
        width: the settings that say widths, as paths in ``network``, e.g.
            ``['backbone.base_channels']``. None looks for the backbone's.

    Raises:
        KeyError: ``width`` names what is not there.
        ValueError: the backbone has no known argument, ``stages`` does not
            fit it, or nothing would be left of a stage.
    """
    scaled = copy.deepcopy(dict(network))
    if width is None:
        if not isinstance(scaled.get('backbone'), dict):
            raise ValueError(
                'CompressedCohort: cohort.peer has no backbone; say by '
                'cohort.width which of its settings are widths'
            )
        scope = network.get('_scope_') or task_scope()
        scaled['backbone'], name = _explicit(scaled['backbone'], scope)
        width = [f'backbone.{name}']
    exact = Fraction(ratio).limit_denominator(10000)
    for path in width:
        holder, name = _find(scaled, path)
        holder[name] = scaled_number(path, holder[name], exact, stages)
    return scaled


def scaled_number(
    key: str, value: Any, ratio: Fraction, stages: int | None = None
) -> Any:
    """Return one width, or a list of one per stage, times ``ratio``.

    Args:
        key: its path, for messages.
        value: an integer, a factor, or a list of integers.
        ratio: in (0, 1].
        stages: of a list, how many are scaled, from the last.

    Raises:
        ValueError: nothing is left of a stage, or ``stages`` does not fit.
    """
    if not isinstance(value, (list, tuple)):
        if stages is not None:
            raise ValueError(
                f'cohort.compressed_stages={stages}, but {key}={value} is one '
                'number for all stages: leave compressed_stages out, or take '
                'a backbone with a width per stage (stage_channels)'
            )
        return _scaled(key, value, ratio)
    count = len(value)
    if stages is not None and not 0 < stages <= count:
        raise ValueError(
            f'cohort.compressed_stages={stages}, but {key}={list(value)} is '
            f'of {count} stages: give 1 to {count}'
        )
    kept = 0 if stages is None else count - stages
    return [
        number if k < kept else _scaled(f'block {k + 1}', number, ratio)
        for k, number in enumerate(value)
    ]


def _scaled(what: str, number: Any, ratio: Fraction) -> Any:
    if isinstance(number, float) or what.endswith(('factor', 'mult')):
        return float(Fraction(number).limit_denominator(10000) * ratio)
    left = int(number * ratio)
    if left < 1:
        raise ValueError(
            f'0 channels in {what} ({number} * {ratio}); use at most '
            f'{number} students'
        )
    return left


def _find(network: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return the dict that holds ``path``, and the last name."""
    *folders, name = path.split('.')
    holder: Any = network
    for folder in folders:
        holder = holder.get(folder, {}) if isinstance(holder, dict) else {}
    if name not in holder:
        raise KeyError(
            f'cohort.width names {path}, which is not written in the peer '
            f'(there: {", ".join(holder) or "nothing"}): write its value '
            'there, or name another setting'
        )
    return holder, name


# -- what is known of backbones ----------------------------------------------


def _explicit(
    backbone: dict[str, Any], scope: str | None
) -> tuple[dict[str, Any], str]:
    """Return a backbone with its width written out, and where it stands."""
    cls: Any = backbone['type']
    if isinstance(cls, str):
        own = '.' in cls or scope is None
        cls = ROOT_MODELS.get(cls if own else f'{scope}.{cls}')
    for base in cls.__mro__:
        if base.__name__ in _FORMS:
            return _FORMS[base.__name__](backbone, cls)
    return _by_argument(backbone, cls)


def _defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of the constructor and of those of its bases."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        if '__init__' in vars(base):
            parameters = inspect.signature(vars(base)['__init__']).parameters
            found |= {name: p.default for name, p in parameters.items()}
    return found


def _by_argument(
    backbone: dict[str, Any], cls: type
) -> tuple[dict[str, Any], str]:
    defaults = _defaults(cls)
    for name in ARGUMENTS:
        value = backbone.get(name, defaults.get(name))
        if isinstance(value, (int, float, list, tuple)):
            return dict(backbone, **{name: value}), name
    raise ValueError(
        f'CompressedCohort: how wide a {cls.__name__} is, is not known; name '
        "the settings by cohort.width=['backbone.<argument>', ...], and "
        'write their values into the peer'
    )


def _cifar_resnet(
    backbone: dict[str, Any], cls: type
) -> tuple[dict[str, Any], str]:
    """Three widths in place of the first."""
    base = backbone.pop('base_channels', _defaults(cls)['base_channels'])
    if backbone.get('stage_channels') is None:
        backbone['stage_channels'] = [base, 2 * base, 4 * base]
    return backbone, 'stage_channels'


def _cifar_densenet(
    backbone: dict[str, Any], cls: type
) -> tuple[dict[str, Any], str]:
    """The stem keeps its width."""
    growth = backbone.setdefault('growth_rate', _defaults(cls)['growth_rate'])
    if backbone.get('stem_channels') is None:
        backbone['stem_channels'] = 2 * growth
    return backbone, 'growth_rate'


def _densenet(
    backbone: dict[str, Any], cls: Any
) -> tuple[dict[str, Any], str]:
    """mmpretrain's, which takes a name or a dict of settings."""
    arch = backbone.get('arch', _defaults(cls)['arch'])
    settings = cls.arch_settings[arch] if isinstance(arch, str) else arch
    return dict(backbone, arch=dict(settings)), 'arch.growth_rate'


def _resnext(backbone: dict[str, Any], cls: type) -> tuple[dict, str]:
    raise ValueError(
        f'CompressedCohort: the channels inside a block of {cls.__name__} '
        'are those of its groups, whatever base_channels says; give '
        "backbone=dict(type='mmkd.StagedResNeXt', ...), whose parameters have "
        'the same names'
    )


_Form = Callable[[dict[str, Any], Any], tuple[dict[str, Any], str]]
#: the first one that a class or its bases have
_FORMS: dict[str, _Form] = {
    'CIFARResNet': _cifar_resnet,
    'CIFARDenseNet': _cifar_densenet,
    'DenseNet': _densenet,
    'StagedResNet': _by_argument,
    'ResNeXt': _resnext,
}
