"""SegFormer's and UPerNet's heads of the published networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

pytest.importorskip('mmseg')
from mmkd.models.heads.aspp_project_head import ASPPProjectHead  # noqa: E402
from mmkd.models.heads.element_dropout import (  # noqa: E402
    ElementDropoutFCNHead,
    ElementDropoutPSPHead,
)
from mmkd.models.heads.linear_segformer_head import (  # noqa: E402
    LinearSegformerHead,
)
from mmkd.models.heads.strided_uper_head import StridedUPerHead  # noqa: E402

ONE: dict[str, Any] = dict(
    in_channels=6, in_index=0, channels=4, num_classes=3,
    norm_cfg=dict(type='BN'),
)  # fmt: skip
MANY: dict[str, Any] = dict(
    ONE, in_channels=[2, 3, 4], in_index=[0, 1, 2], dropout_ratio=0.0
)


def maps() -> list[torch.Tensor]:
    return [torch.randn(2, c, 16 // c, 16 // c) for c in (2, 3, 4)]


def test_linear_segformer_head_by_hand() -> None:
    head = LinearSegformerHead(**MANY).eval()
    inputs = maps()
    projected = [
        functional.interpolate(
            functional.conv2d(x, p.weight, p.bias), (8, 8), mode='bilinear'
        )
        for x, p in zip(inputs, head.projections, strict=True)
    ]
    fused = head.fusion.conv(torch.cat([*reversed(projected)], 1))
    assert head.fusion.conv.bias is not None
    wanted = head.conv_seg(head.fusion.bn(fused).relu())
    torch.testing.assert_close(head(inputs), wanted)


def test_strided_uper_head_halves_the_size() -> None:
    head = StridedUPerHead(**MANY, pool_scales=(1, 2)).eval()
    assert head(maps()).shape == (2, 3, 4, 4)


@pytest.mark.parametrize(
    'head',
    [
        lambda: ASPPProjectHead(**ONE),
        lambda: ElementDropoutPSPHead(**ONE),
        lambda: ElementDropoutFCNHead(**ONE),
        lambda: LinearSegformerHead(**MANY),
        lambda: StridedUPerHead(**MANY),
    ],
)
def test_heads_start_from_pytorchs_weights(head: Any) -> None:
    built = head()
    built.init_weights()
    convolutions = [m for m in built.modules() if isinstance(m, nn.Conv2d)]
    assert built.conv_seg in convolutions
    for conv in convolutions:  # uniform in +- 1 / sqrt(fan in)
        bound = conv.weight[0].numel() ** -0.5
        assert 0.5 * bound < conv.weight.abs().max() <= bound
    assert built.conv_seg.bias.abs().max() > 0
