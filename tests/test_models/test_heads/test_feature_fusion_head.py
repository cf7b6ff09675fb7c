from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.heads import FeatureFusionHead
from tests.references import ffl_afd as reference

#: of the authors' modules, the longer ones first
NAMES = dict(
    conv1_1='pointwise',
    bn1_1='pointwise_norm',
    conv1='depthwise',
    bn1='depthwise_norm',
    fc2='fc',
)


def load_authors(head, case):
    """Copy the parameters of the authors' module into ``head``."""
    state = {}
    for key, value in case.items():
        if key.startswith('param_'):
            old = next(n for n in NAMES if key.startswith(f'param_{n}_'))
            leaf = key.removeprefix(f'param_{old}_')
            state[f'{NAMES[old]}.{leaf}'] = torch.from_numpy(value.copy())
    head.load_state_dict(state)
    return head


def maps(*widths, size=4, dtype=torch.float64):
    return [
        torch.randn(3, c, size, size, dtype=dtype, requires_grad=True)
        for c in widths
    ]


def test_golden(golden):
    case = golden('ffl', 'fusion_module')
    head = load_authors(FeatureFusionHead([6, 6], 5), case)
    feats = [
        torch.from_numpy(case[f'feature_{k}']).requires_grad_() for k in (0, 1)
    ]

    def same(value, key, rtol=1e-5, atol=1e-5):
        torch.testing.assert_close(
            value.detach(), torch.from_numpy(case[key]), rtol=rtol, atol=atol
        )

    same(head.eval()(feats), 'logits_eval')
    logits = head.train()(feats)
    same(logits, 'logits_train')
    (logits * torch.from_numpy(case['upstream_grad'])).sum().backward()
    for k, feat in enumerate(feats):
        same(feat.grad, f'grad_feature_{k}', 1e-4, 1e-6)
    same(head.depthwise.weight.grad, 'grad_depthwise', 1e-4, 1e-6)
    same(head.pointwise.weight.grad, 'grad_pointwise', 1e-4, 1e-6)
    same(head.fc.weight.grad, 'grad_fc', 1e-4, 1e-6)
    for name in ('running_mean', 'running_var'):
        same(getattr(head.depthwise_norm, name), f'after_bn1_{name}')
        same(getattr(head.pointwise_norm, name), f'after_bn1_1_{name}')


@pytest.mark.parametrize('widths', [(4, 4), (4, 4, 4), (3, 6)])
def test_equals_the_loop(widths):
    head = FeatureFusionHead(widths, 5).double()
    feats = maps(*widths)
    assert head.fuse(feats).shape == (3, max(widths), 4, 4)
    norms = (head.depthwise_norm, head.pointwise_norm)
    expected = reference.fused_logits(
        feats, head.depthwise.weight, head.pointwise.weight, norms, head.fc
    )
    torch.testing.assert_close(head(feats), expected)


def test_published_size_and_initialisation(golden):
    head = FeatureFusionHead([64, 64], 100)
    (wanted,) = golden('ffl', 'parameter_counts')['fusion_64_100']
    assert sum(p.numel() for p in head.parameters()) == wanted == 16228
    big = FeatureFusionHead([2048, 2048], 2, out_channels=512)
    std = (2 / (9 * 4096)) ** 0.5
    assert big.depthwise.weight.std().item() == pytest.approx(std, rel=0.02)
    std = (2 / 512) ** 0.5
    assert big.pointwise.weight.std().item() == pytest.approx(std, rel=0.02)


def test_exchanged_maps_and_weights_give_the_same():
    head = FeatureFusionHead([4, 4], 5).double()
    one, two = maps(4, 4)
    nn.init.uniform_(head.depthwise_norm.weight)
    nn.init.normal_(head.depthwise_norm.bias)
    before = head([one, two])
    order = [*range(4, 8), *range(4)]
    with torch.no_grad():
        head.depthwise.weight.copy_(head.depthwise.weight[order])
        head.depthwise_norm.weight.copy_(head.depthwise_norm.weight[order])
        head.depthwise_norm.bias.copy_(head.depthwise_norm.bias[order])
        head.pointwise.weight.copy_(head.pointwise.weight[:, order])
    torch.testing.assert_close(head([two, one]), before)


def test_adapters_bring_maps_to_one_width():
    head = FeatureFusionHead([3, 6, 4], 5, adapter_channels=4).double()
    assert [len(adapt) for adapt in head.adapters] == [2, 2, 0]
    assert head.depthwise.in_channels == 12
    feats = maps(3, 6, 4)
    logits = head(feats)
    assert logits.shape == (3, 5) and logits.dtype == torch.float64
    adapted = [adapt(f) for adapt, f in zip(head.adapters, feats, strict=True)]
    plain = FeatureFusionHead([4, 4, 4], 5, out_channels=6).double()
    own = {k: v for k, v in head.state_dict().items() if 'adapt' not in k}
    plain.load_state_dict(own)
    torch.testing.assert_close(plain(adapted), logits)


def test_maps_of_unequal_size_are_averaged_to_the_smallest():
    head = FeatureFusionHead([4, 4], 5, resize='pool').double()
    (large,), (small,) = maps(4, size=8), maps(4)
    halves = large.reshape(3, 4, 4, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(head([large, small]), head([halves, small]))


def test_dense_classifies_every_position():
    dense = FeatureFusionHead([4, 4], 5, dense=True).double()
    plain = FeatureFusionHead([4, 4], 5).double()
    state = dense.state_dict()
    state['fc.weight'] = state['fc.weight'].flatten(1)
    plain.load_state_dict(state)
    feats = maps(4, 4)
    assert dense(feats).shape == (3, 5, 4, 4)
    torch.testing.assert_close(dense(feats).mean((2, 3)), plain(feats))


def test_mistakes():
    with pytest.raises(ValueError, match='fewer than two networks'):
        FeatureFusionHead([64], 5)
    with pytest.raises(ValueError, match=r"choose None or 'pool'"):
        FeatureFusionHead([4, 4], 5, resize='bilinear')
    with pytest.raises(ValueError, match='num_classes=0 must be positive'):
        FeatureFusionHead([4, 4], 0)
    head = FeatureFusionHead([4, 4], 5).double()
    (seven,), (eight,) = maps(4, size=7), maps(4, size=8)
    words = r"sizes \(8x8, 7x7\); choose .*equal output stride.*'pool'"
    with pytest.raises(ValueError, match=words):
        head([eight, seven])
    with pytest.raises(ValueError, match='peer 1 gives 6 channels, .*says 4'):
        head(maps(4, 6))
    with pytest.raises(ValueError, match='built for 2 networks, got 3 maps'):
        head(maps(4, 4, 4))
    with pytest.raises(ValueError, match=r'peer 0 gives \(3, 4\), not'):
        head([f.mean((2, 3)) for f in maps(4, 4)])
    one = [f[:1] for f in maps(4, 4, size=1)]
    with pytest.raises(ValueError, match='batch_size of at least 2'):
        head(one)
    assert head.eval()(one).shape == (1, 5)
