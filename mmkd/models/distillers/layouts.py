"""What a task's tensors mean, where shapes alone do not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmkd.models.distillers.parts import Part
from mmkd.models.distillers.role import Role
from mmkd.models.distillers.shrink import as_list
from mmkd.tasks import anchors_of, class_dim, class_head, num_classes


def check_layout(part: Part, roles: Sequence[Role], tensors: Any) -> None:
    """Refuse tensors that a part cannot compare although their shapes fit.

    Args:
        part: a loss or an exchange.
        roles: all.
        tensors: label -> name -> what the part is tried on.

    Raises:
        ValueError: a softmax does not run over classes, or there are
            regions of several networks.
    """
    _refuse_regions(part, roles)
    found = (getattr(m, 'softmax_dim', None) for m in part.module.modules())
    dims = [dim for dim in found if dim is not None]
    for role, name, path in _taps(part, roles) if dims else ():
        for value in as_list(tensors[role.label][name]):
            for dim in dims:
                text = f'{role.label} {name} {tuple(value.shape)}'
                _check_softmax(role, path, text, value.shape, dim)


def _check_softmax(
    role: Role, path: str, text: str, shape: Sequence[int], dim: int
) -> None:
    known = class_dim(role.network, path, len(shape))
    if known is not None and dim % len(shape) != known[0]:
        right, layout = known
        raise ValueError(
            f'{text} is {layout}, but the softmax runs over dimension {dim}; '
            f'set dim={right} (in an exchange: transfer_loss='
            f"dict(type='mmkd.KLDivLoss', dim={right}))"
        )
    anchors = anchors_of(role.network, path)
    if known is None and anchors > 1 and dim % len(shape) == 1:
        raise ValueError(
            f'{text} is (N, anchors x classes, H, W) of {anchors} anchors, '
            'but the softmax runs over all of them; set sigmoid=True, or tap '
            'the pyramid'
        )


def _refuse_regions(part: Part, roles: Sequence[Role]) -> None:
    found = [
        (role.label, f'taps.{name}="{path}"')
        for role, name, path in _taps(part, roles)
        if path.startswith('roi_head.') and hasattr(role.network, 'roi_head')
    ]
    if len({label for label, _ in found}) > 1:
        raise ValueError(
            f'{found[0][1]} is one row per region that a network proposes, '
            f'and {" and ".join(label for label, _ in found)} propose '
            "other regions; tap what all have at every position: 'neck', "
            "'rpn_head.rpn_conv' or 'rpn_head.rpn_cls'"
        )


def classes_note(part: Part, roles: Sequence[Role]) -> str:
    """Return the numbers of classes, if outputs of heads have other ones."""
    counts: dict[str, int | None] = {}
    for role, _, path in _taps(part, roles):
        if path.startswith(f'{class_head(role.network)[0]}.'):
            counts[role.label] = num_classes(role.network)
    if len(set(counts.values())) < 2:
        return ''
    texts = [f'{label} {count}' for label, count in counts.items()]
    return f'num_classes: {", ".join(texts)}'


def _taps(
    part: Part, roles: Sequence[Role]
) -> Iterator[tuple[Role, str, str]]:
    """Return role, name and path of what a part reads; '' for a head's."""
    by_label: Mapping[str, Role] = {role.label: role for role in roles}
    for label, name in part.reads():
        role = by_label[label]
        tapped = name in role.taps.paths
        yield role, name, role.taps.describe(name) if tapped else ''
