from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS

import mmkd.models.backbones as backbones
from mmkd.models.heads import FeatureRefinement, StageClassifiers
from mmkd.models.heads.hierarchical_branches import pooled
from tests.support.backbone_fills import fill_by_role, input_by_role

NETWORKS = dict(
    resnet32=lambda: backbones.CIFARResNet(32),
    resnet56=lambda: backbones.CIFARResNet(56),
    resnet110=lambda: backbones.CIFARResNet(110, block='bottleneck'),
    wrn_16_2=lambda: backbones.CIFARWideResNet(16, 2),
    wrn_40_2=lambda: backbones.CIFARWideResNet(40, 2),
    wrn_28_4=lambda: backbones.CIFARWideResNet(28, 4),
    ShuffleNetV2_05x=lambda: backbones.CIFARShuffleNetV2(0.5),
    ShuffleNetV2_1x=lambda: backbones.CIFARShuffleNetV2(1.0),
    hcgnet_A1=lambda: backbones.HCGNet('A1'),
    hcgnet_A2=lambda: backbones.HCGNet('A2'),
)
SLOW = [
    name if name in ('resnet32', 'wrn_16_2', 'hcgnet_A1')
    else pytest.param(name, marks=pytest.mark.slow)
    for name in NETWORKS
]  # fmt: skip


def run(backbone, head, images):
    """Return the refined features of all stages."""
    maps = []
    handles = [
        backbone.get_submodule(name).register_forward_hook(
            lambda module, args, output: maps.append(output)
        )
        for name in head.tap_names
    ]
    feats = pooled(backbone(images))
    for handle in handles:
        handle.remove()
    return head(maps, feats)


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


@pytest.mark.parametrize('name', SLOW)
def test_golden_cifar_networks(golden, name):
    case = golden('lmcl', 'cifar_refinement_networks')
    backbone = NETWORKS[name]()
    head = FeatureRefinement(backbone=backbone)
    width = head.out_channels
    fcs = StageClassifiers([width] * 3, 100, backbone)
    final = torch.nn.Linear(width, 100)
    assert count(backbone, final) == case[f'{name}_num_params_backbone']
    assert count(head, fcs) == case[f'{name}_num_params_refinement']
    fill_by_role(backbone, head, fcs, final)
    for module in (backbone, head, fcs):
        module.train(False)
    with torch.no_grad():
        feats = run(backbone, head, input_by_role())
        logits = fcs(feats, final(feats[-1]))
    for j in range(3):
        for ours, key in ((feats[j], 'embedding'), (logits[j], 'logits')):
            expected = torch.from_numpy(case[f'{name}_stage{j}_{key}'])
            torch.testing.assert_close(ours, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'settings', 'backbone_count', 'refined_count'),
    [
        (dict(type='ResNet', depth=18), dict(stage_depths=1),
         11689512, 14626488),
        (dict(type='ResNet', depth=34), dict(stage_depths=1),
         21797672, 14626488),
        (dict(type='ResNet', depth=50), dict(stage_depths=1),
         25557032, 27669944),
        (dict(type='ShuffleNetV2', widen_factor=1.0),
         dict(stages=['maxpool', 'layers.0', 'layers.1'],
              stage_depths=[2, 'full', 'full']), 2278604, 6119796),
    ],
)  # fmt: skip
def test_published_imagenet_sizes(
    config, settings, backbone_count, refined_count
):
    config = {**config, 'type': f'mmpretrain.{config["type"]}'}
    backbone = ROOT_MODELS.build(config)
    head = FeatureRefinement(backbone=backbone, **settings)
    fcs = StageClassifiers([head.out_channels] * 4, 1000)
    final = torch.nn.Linear(head.out_channels, 1000)
    assert count(backbone, final) == backbone_count
    assert count(head, fcs) == refined_count
    backbone.eval(), head.eval()
    with torch.no_grad():
        feats = run(backbone, head, torch.randn(1, 3, 64, 64))
    assert [f.shape for f in feats] == [(1, head.out_channels)] * 4


@pytest.mark.parametrize(
    'config',
    [
        dict(type='mmpretrain.MobileNetV2', widen_factor=0.25),
        dict(type='mmpretrain.VGG', depth=11, norm_cfg=dict(type='BN')),
        dict(type='mmpretrain.SwinTransformer', arch='tiny', img_size=32,
             window_size=1, patch_size=2, out_indices=(3,)),
        dict(type='mmpretrain.ConvNeXt', arch='atto',
             gap_before_final_norm=False),
    ],
)  # fmt: skip
def test_any_backbone_whose_stages_are_known(config):
    backbone = ROOT_MODELS.build(config)
    head = FeatureRefinement(backbone=backbone)
    assert len(head.rests) == len(head.tap_names) >= 2
    assert all(p.requires_grad for p in head.parameters())
    own = {id(p) for p in backbone.parameters()}
    assert not own & {id(p) for p in head.parameters()}


def test_the_backbones_own_weights_refine_to_the_final_features():
    backbone = backbones.CIFARResNet(8)
    head = FeatureRefinement(backbone=backbone)
    for rest in head.rests:
        rest.load_state_dict(backbone.state_dict(), strict=False)
    feats = run(backbone, head, torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(feats[0], feats[2])
    torch.testing.assert_close(feats[1], feats[2])


def test_initialisation_is_the_backbones():
    backbone = backbones.CIFARResNet(8)
    head = FeatureRefinement(backbone=backbone)
    head.init_weights()
    conv = head.rests[0].layer2[0].conv1
    std = (2 / (9 * 32)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(std, rel=0.1)
    fcs = StageClassifiers([64] * 3, 10, backbone)
    assert all((fc.bias == 0).all() for fc in fcs.fcs)


def test_messages():
    backbone = backbones.CIFARResNet(8)
    with pytest.raises(ValueError, match='backbone=None'):
        FeatureRefinement()
    with pytest.raises(ValueError, match='FeatureRefinement: stages=.*stage7'):
        FeatureRefinement(['stage7'], backbone=backbone)
    with pytest.raises(ValueError, match='leaves nothing of CIFARResNet'):
        FeatureRefinement(['layer3'], backbone=backbone)
    with pytest.raises(ValueError, match='has 3 entries for 2'):
        FeatureRefinement(stage_depths=[1, 1, 1], backbone=backbone)
    with pytest.raises(ValueError, match="stage_depths='half'"):
        FeatureRefinement(stage_depths='half', backbone=backbone)
    head = FeatureRefinement(backbone=backbone)
    with pytest.raises(ValueError, match=r'tap what the stages .*layer1'):
        head([torch.ones(2, 3, 8, 8)], torch.ones(2, 64))
    maps = [torch.ones(2, 16, 8, 8), torch.ones(2, 32, 4, 4)]
    with pytest.raises(ValueError, match=r'must be \(N, 64\)'):
        head(maps, torch.ones(2, 32))
