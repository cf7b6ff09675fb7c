"""Weights of AnchorNet's authors for ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_TRUNK = ('conv1.', 'bn1.', 'bneck.', 'exp_conv.')
# The first block does not expand, but the authors' program has the layers.
_UNUSED = ('bneck.0.conv1.', 'bneck.0.bn1.')


def convert_anchornet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published checkpoint for an ImageClassifier.

    Args:
        state: of the authors' program, with or without ``module.``.

    Returns:
        ``backbone.…`` and ``head.fc.…``.

    Raises:
        ValueError: it has other keys.
    """
    renamed = {}
    for key, value in state.items():
        name = key.removeprefix('module.')
        if name.startswith(_UNUSED):
            continue
        if name.startswith(_TRUNK):
            renamed[f'backbone.{name}'] = value
        elif name.startswith('fc.'):
            renamed[f'head.{name}'] = value
        else:
            raise ValueError(
                f'"{key}" is no weight of AnchorNet; give the checkpoint of '
                'its proposal network (conv1, bn1, bneck, exp_conv, fc). '
                "Global and patch networks have torchvision's names: use "
                "mmpretrain's tools/model_converters"
            )
    if not renamed:
        raise ValueError('the file holds no weights')
    return renamed
