"""ASPPProjectHead against the authors' head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.formula_weights import (
    formula_input,
    layers,
    read_state_order,
    set_formula_weights,
)

pytest.importorskip('mmseg')
from mmkd.models.heads.aspp_project_head import ASPPProjectHead  # noqa: E402


def make_head(**kwargs):
    settings = dict(
        in_channels=512,
        channels=128,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=True,
    )
    return ASPPProjectHead(in_index=0, **{**settings, **kwargs})


def test_head_equals_published_head(golden):
    case = golden('cirkd', '22_model_aspp_head')
    head = make_head().eval()
    order = layers(
        head.branches,
        head.image_pool,
        head.project,
        head.bottleneck,
        head.conv_seg,
    )
    set_formula_weights(order, read_state_order('aspp_head_512_128'))
    x = formula_input(
        case['input_shape'],
        case['input_formula_index'],
        float(case['input_scale']),
    )
    seen = []
    head.conv_seg.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    with torch.no_grad():
        logits = head([x])
    (feats,) = seen
    torch.testing.assert_close(
        logits.float(), torch.from_numpy(case['logits']), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        feats[:, ::16].float(),
        torch.from_numpy(case['feat_every16']),
        rtol=1e-4,
        atol=1e-6,
    )


def test_classifier_input_is_the_feature_after_elementwise_dropout():
    head = make_head(in_channels=8, channels=16, dropout_ratio=0.5).train()
    assert type(head.dropout) is nn.Dropout
    seen = []
    head.bottleneck.register_forward_hook(
        lambda module, args, out: seen.append(out)
    )
    head.conv_seg.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    head([torch.randn(2, 8, 12, 12)])
    before, after = seen
    dropped = (after == 0) & (before > 0)
    kept = after != 0
    assert torch.equal(after[kept], 2 * before[kept])
    # single elements are dropped, not whole channels of an image
    share = dropped.flatten(2).float().sum(-1) / (before > 0).flatten(2).sum(
        -1
    )
    assert 0.3 < share.mean() < 0.7
    assert share.max() < 1


def test_no_dropout_when_the_ratio_is_zero():
    assert make_head(dropout_ratio=0).dropout is None
