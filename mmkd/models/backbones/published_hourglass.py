"""Weights of the authors' hourglasses (OKDHP) under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_STEM = re.compile(r'^(conv1|bn1|layer[123])\.')
_LAYER = re.compile(r'^(layer[123])\.0\.')
_STACK = re.compile(
    r'^(?P<kind>ind|score|_fc|_score)(?:_b_(?P<branch>\d+))?_s_(?P<stack>\d+)'
    r'\.(?P<rest>.*)$'
)
_KINDS = dict(ind='unit', score='score', _fc='remap', _score='back')


def convert_okdhp(
    state: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename the weights of the authors' multi-branch hourglass.

    Args:
        state: of https://github.com/zhengli97/OKDHP, ``module.`` or not.

    Returns:
        State of a `MultiBranchHourglass` and of a `FeatureAggregationUnit`.

    Raises:
        ValueError: a name is not of that network.
    """
    network, unit = {}, {}
    for key, value in state.items():
        name = key.removeprefix('module.')
        if name.startswith(('convs.', 'fc.', 'fcs.')):
            unit[name] = value
        else:
            network[_our_name(name)] = value
    return network, unit


def _our_name(name: str) -> str:
    if _STEM.match(name):
        name = _LAYER.sub(r'\1.', name).replace('downsample.0', 'downsample')
        return f'stem.{name}'
    match = _STACK.match(name)
    if match is None:
        raise ValueError(
            f'"{name}" is not a name of the hourglass of OKDHP: give the '
            'state dict of its MPII or COCO model'
        )
    place = f'shared.{match["stack"]}'
    if match['branch'] is not None:
        place = f'branches.{match["branch"]}.{match["stack"]}'
    rest = match['rest']
    rest = re.sub(r'^0\.hg\.(\d+)\.(\d+)\.0\.', r'0.levels.\1.\2.', rest)
    rest = re.sub(r'^1\.0\.', '1.', rest)
    return f'{place}.{_KINDS[match["kind"]]}.{rest}'
