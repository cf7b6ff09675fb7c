"""Weights of whole segmentation networks of the CIRKD repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from mmkd.models.backbones.published_weights import convert_by_order

#: attributes of our heads in the order of the published ones
_ORDER = (
    'psp_modules', 'branches', 'image_pool', 'project', 'convs',
    'bottleneck', 'conv_seg',
)  # fmt: skip
#: first part of the published names -> our head
_HEADS = dict(head='decode_head', auxlayer='auxiliary_head')


class _InOrder(nn.Module):
    """Parts of a head, whose state comes in the published order."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        for name in _ORDER:
            part = getattr(head, name, None)
            if isinstance(part, nn.Module):
                self.add_module(name, part)


def convert_segmentor(
    state: Mapping[str, Tensor], network: nn.Module
) -> dict[str, Tensor]:
    """Rename the weights of a published DeepLabV3 or PSPNet.

    Published names begin with ``head.``, ``auxlayer.``, or those of the
    backbone; inside each, tensors come in the order of the modules.

    Args:
        state: weights of the published network.
        network: an ``EncoderDecoder`` of configs/cirkd.

    Returns:
        The weights under the names of ``network``.

    Raises:
        ValueError: a part is missing, or a tensor of another shape.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name = key.removeprefix('module.')
        part = _HEADS.get(name.partition('.')[0], 'backbone')
        parts.setdefault(part, {})[name] = value
    renamed = {}
    for part, target in _targets(network):
        if part not in parts:
            raise ValueError(
                f'the weights have no part for {part} '
                f'({", ".join(sorted(parts))} are there): they are of '
                'another network; choose the config that was trained'
            )
        found = convert_by_order(parts[part], target)
        if part != 'backbone' and len(found) != _count(parts[part]):
            raise ValueError(
                f'the weights of {part} are {_count(parts[part])} tensors, '
                f'the config has {len(found)}: another kind of head; choose '
                'the config that was trained'
            )
        renamed.update({f'{part}.{k}': v for k, v in found.items()})
    return renamed


def _targets(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    yield 'backbone', network.backbone  # type: ignore[misc]
    for part in _HEADS.values():
        head = getattr(network, part, None)
        if head is not None:
            yield part, _InOrder(head)


def _count(state: Mapping[str, Tensor]) -> int:
    return sum(not key.endswith('num_batches_tracked') for key in state)
