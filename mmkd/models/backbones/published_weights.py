"""ImageNet weights of other projects for our backbones, key by key."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

PREFIXES = ('module.', 'backbone.', 'pretrained.', 'net.')
CLASSIFIERS = ('fc.', 'classifier.')


def convert_by_order(
    state: Mapping[str, Tensor], backbone: nn.Module
) -> dict[str, Tensor]:
    """Rename a state dict whose tensors come in the order of ``backbone``.

    The published weights of the deep-stem ResNets (``conv1`` to ``conv3``,
    ``layer1`` ...) and of MobileNetV2 (``features.0`` ...) are those of
    `ResNetV1s` and `DilatedMobileNetV2` under other names, in the same
    order. Batch counters and classifiers are left out, as is what follows
    the last stage (the 1280-channel layer of MobileNetV2).

    Args:
        state: weights of the other project, in the order of its modules.
        backbone: the network to rename for.

    Returns:
        The weights under the names of ``backbone``.

    Raises:
        ValueError: a tensor is missing or of another shape.
    """
    given = [
        (_strip(key), value)
        for key, value in state.items()
        if not key.endswith('num_batches_tracked')
        and not _strip(key).startswith(CLASSIFIERS)
    ]
    wanted = {
        key: value
        for key, value in backbone.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    if len(given) < len(wanted):
        raise ValueError(
            f'the weights have {len(given)} tensors, '
            f'{type(backbone).__name__} has {len(wanted)}: they are of '
            'another network; check the depth'
        )
    renamed = {}
    for (name, target), (key, value) in zip(
        wanted.items(), given, strict=False
    ):
        if target.shape != value.shape:
            raise ValueError(
                f'{key!r} is {tuple(value.shape)}, {name!r} of '
                f'{type(backbone).__name__} is {tuple(target.shape)}: the '
                'weights are of another network; check depth and stem '
                '(64-64-128)'
            )
        renamed[name] = value
    return renamed


def _strip(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return key
