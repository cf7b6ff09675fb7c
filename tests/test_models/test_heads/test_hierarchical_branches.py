"""Branch classifiers: golden cases, families, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmkd.models.heads import HierarchicalBranches
from mmkd.models.heads.hierarchical_branches import class_logits
from mmkd.models.views import RotationViews
from mmkd.networks import build_network
from mmkd.taps import Taps
from tests.support.backbone_fills import fill_by_order, image

Golden = Callable[[str, str], dict[str, np.ndarray]]

PUBLISHED: dict[str, dict[str, Any]] = dict(
    resnet20=dict(type='mmkd.CIFARResNet', depth=20),
    wrn_16_2=dict(type='mmkd.CIFARWideResNet', depth=16, widen_factor=2),
    vgg13_bn=dict(type='mmkd.CIFARVGG', depth=13),
    ShuffleV1=dict(type='mmkd.CIFARShuffleNetV1'),
    mobilenetV2=dict(type='mmkd.CIFARMobileNetV2', stem_stride=1),
)
WIDE = dict(stem_channels=32, base_channels=64)
# parameters of each branch, from the specification of the method
COUNTS: dict[str, tuple[dict[str, Any], list[int]]] = dict(
    resnet56=(
        dict(type='mmkd.CIFARResNet', depth=56),
        [838608, 675600, 691856],
    ),
    resnet8x4=(
        dict(type='mmkd.CIFARResNet', depth=8, **WIDE),
        [1251984, 1021840, 1283472],
    ),
    resnet32x4=(
        dict(type='mmkd.CIFARResNet', depth=32, **WIDE),
        [7156368, 5744528, 6006160],
    ),
    wrn_40_1=(
        dict(type='mmkd.CIFARWideResNet', depth=40, widen_factor=1),
        [560816, 453584, 470032],
    ),
    wrn_40_2=(
        dict(type='mmkd.CIFARWideResNet', depth=40, widen_factor=2),
        [2186192, 1758736, 1824400],
    ),
    shufflenet_v2=(
        dict(
            type='mmkd.CIFARShuffleNetV2', widen_factor=1.0, stem_kernel_size=1
        ),
        [1632716, 1388536, 1498736],
    ),
    resnet50=(
        dict(type='ResNet_CIFAR', depth=50),
        [24102288, 22882704, 15784336, 14207376],
    ),
)
# Stock backbones: which stages are found, and the size of the input.
STOCK: dict[str, tuple[dict[str, Any], list[str]]] = dict(
    resnet=(
        dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
        [f'layer{k}' for k in range(1, 5)],
    ),
    resnext=(
        dict(type='ResNeXt', depth=50, groups=4, width_per_group=4),
        [f'layer{k}' for k in range(1, 5)],
    ),
    regnet=(
        dict(type='RegNet', arch='regnetx_400mf'),
        [f'layer{k}' for k in range(1, 5)],
    ),
    efficientnet=(
        dict(type='EfficientNet', arch='b0'),
        [f'layers.{k}' for k in range(1, 6)],
    ),
    mobilenet_v3=(
        dict(type='MobileNetV3', arch='small_050'),
        ['layer1', 'layer3', 'layer8', 'layer11'],
    ),
    convnext=(
        dict(type='ConvNeXt', arch='atto'),
        [f'stages.{k}' for k in range(4)],
    ),
    swin=(
        dict(
            type='SwinTransformer',
            arch=dict(
                embed_dims=12, depths=[2, 2, 2, 2], num_heads=[1, 2, 3, 4]
            ),
            window_size=2,
        ),
        [f'stages.{k}' for k in range(4)],
    ),
    repvgg=(
        dict(type='RepVGG', arch='A0'),
        [f'stage_{k}' for k in range(1, 5)],
    ),
    densenet=(
        dict(type='DenseNet', arch='121'),
        [f'stages.{k}' for k in range(4)],
    ),
    vgg=(
        dict(type='VGG', depth=11, norm_cfg=dict(type='BN')),
        [f'features.{k}' for k in (1, 3, 6, 9, 12)],
    ),
)


def backbone_of(config: dict[str, Any]) -> nn.Module:
    model = dict(type='ImageClassifier', _scope_='mmpretrain')
    return build_network(dict(model, backbone=config)).backbone


def stage_taps(backbone: nn.Module, branches: HierarchicalBranches) -> Taps:
    entry = '[0]' if type(backbone).__name__ == 'SwinTransformer' else ''
    return Taps(
        backbone,
        dict(stages=[f'{name}{entry}' for name in branches.stage_names]),
    )


class WithBranches(nn.Module):
    """Backbone, classifier, then the branches, in this order."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(backbone.out_channels, 100)
        self.branches = HierarchicalBranches(100, backbone=backbone)
        self.taps = stage_taps(backbone, self.branches)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        with self.taps.recording() as record:
            maps = self.backbone(images)
        logits = self.fc(maps[-1].mean((2, 3)))
        return logits, self.branches(record['stages'])


def sizes(branches: HierarchicalBranches) -> list[int]:
    return [
        sum(p.numel() for part in pair for p in part.parameters())
        for pair in zip(branches.branches, branches.fcs, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_output_equals_published_code(golden: Golden, name: str) -> None:
    case = golden('hssakd', f'aux_{name}')
    whole = WithBranches(backbone_of(PUBLISHED[name]))
    assert sum(sizes(whole.branches)) == case['n_params_aux']
    network = fill_by_order(whole)
    images = image((2, 3, 32, 32), 12345).float().double()
    views, _ = RotationViews()(images, torch.zeros(2, dtype=torch.long))
    with torch.no_grad():
        logits, joint = network(views)
    np.testing.assert_allclose(
        logits.numpy(), case['logits'], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        torch.stack(joint).numpy(), case['ss_logits'], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('name', COUNTS)
def test_number_of_parameters(name: str) -> None:
    config, wanted = COUNTS[name]
    backbone = backbone_of(config).to('meta')
    with torch.device('meta'):
        branches = HierarchicalBranches(100, backbone=backbone)
    assert sizes(branches) == wanted


def test_number_of_parameters_on_imagenet() -> None:
    backbone = backbone_of(dict(type='ResNet', depth=18)).to('meta')
    with torch.device('meta'):
        branches = HierarchicalBranches(1000, backbone=backbone)
    assert sum(sizes(branches)) == 47555456


@pytest.mark.slow
@pytest.mark.parametrize('name', STOCK)
def test_stock_backbones(name: str) -> None:
    """Found, run, trained, with weights of their own."""
    config, stages = STOCK[name]
    backbone = backbone_of(config)
    branches = HierarchicalBranches(5, backbone=backbone)
    assert branches.stage_names == stages
    with stage_taps(backbone, branches).recording() as record:
        last = backbone(torch.randn(2, 3, 64, 64))[-1]
    logits = branches(record['stages'])
    assert [tuple(entry.shape) for entry in logits] == [(2, 20)] * len(stages)
    torch.stack(logits).square().sum().backward()
    assert all(p.grad is not None for p in branches.parameters())
    own = {id(p) for p in branches.parameters()}
    assert not own & {id(p) for p in backbone.parameters()}
    ends = [
        branch(feats)
        for branch, feats in zip(
            branches.branches, record['stages'], strict=True
        )
    ]
    for end in ends:  # on the backbone's last resolution
        assert end[-1].shape == last.shape
    branches.init_weights()
    assert all(p.isfinite().all() for p in branches.parameters())


def small() -> nn.Module:
    return backbone_of(
        dict(
            type='mmkd.CIFARResNet',
            depth=8,
            stem_channels=4,
            stage_channels=(4, 6, 8),
        )
    )


def maps_of(backbone: nn.Module) -> list[Tensor]:
    taps = Taps(backbone, dict(stages='layer{1,2,3}'))
    with taps.recording() as record:
        backbone(torch.randn(2, 3, 16, 16))
    return record['stages']


def test_last_stage_keeps_the_resolution() -> None:
    branches = HierarchicalBranches(5, backbone=small())
    last = branches.branches[-1].layer3[0]
    assert last.conv1.stride == (1, 1)
    assert isinstance(last.downsample, nn.Identity)


def test_branches_leave_the_backbone_alone() -> None:
    backbone = small()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    names = [name for name, _ in backbone.named_modules()]
    HierarchicalBranches(5, backbone=backbone).init_weights()
    assert names == [name for name, _ in backbone.named_modules()]
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, before[key])
    assert not any(m._forward_hooks for m in backbone.modules())


def test_hooks_of_the_backbone_are_not_taken_over() -> None:
    backbone = small().double()
    ran: list[Any] = []
    backbone.layer3.register_forward_hook(lambda *_: ran.append(1))
    branches = HierarchicalBranches(5, backbone=backbone).double()
    assert not ran
    maps = [torch.randn(2, c, 8, 8).double() for c in (4, 6, 8)]
    assert branches(maps)[0].dtype == torch.float64
    assert not ran
    assert len(backbone.layer3._forward_hooks) == 1


def test_weights_are_not_the_backbones() -> None:
    backbone = small()
    branches = HierarchicalBranches(5, backbone=backbone)
    first, second = branches.branches[0], branches.branches[1]
    own = first.layer3[0].conv1.weight
    assert not torch.equal(own, backbone.layer3[0].conv1.weight)
    assert not torch.equal(own, second.layer3[0].conv1.weight)


def test_initial_weights_are_the_published_ones() -> None:
    branches = HierarchicalBranches(
        100, backbone=backbone_of(PUBLISHED['wrn_16_2'])
    )
    branches.init_weights()
    conv = branches.branches[0].layer3[1].conv1.weight
    wanted = (2 / (9 * conv.shape[0])) ** 0.5
    assert conv.std().item() == pytest.approx(wanted, rel=0.02)
    assert not branches.fcs[0].bias.any()
    assert branches.fcs[0].weight.abs().max() <= 128**-0.5


def test_branch_gradient() -> None:
    backbone = small()
    for flag in (True, False):
        backbone.zero_grad(set_to_none=True)
        branches = HierarchicalBranches(
            5, backbone=backbone, branch_gradient=flag
        )
        torch.stack(branches(maps_of(backbone))).sum().backward()
        assert (backbone.conv1.weight.grad is not None) == flag
        assert branches.fcs[0].weight.grad.abs().sum() > 0


def test_frozen_backbones_have_trainable_branches() -> None:
    backbone = backbone_of(
        dict(type='ResNet', depth=18, base_channels=4, frozen_stages=4)
    )
    branches = HierarchicalBranches(5, backbone=backbone).train()
    assert all(p.requires_grad for p in branches.parameters())
    norms = [m for m in branches.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)


def test_pretrained_weights_are_not_loaded_into_branches() -> None:
    init = dict(type='Pretrained', checkpoint='nowhere.pth')
    backbone = backbone_of(
        dict(type='ResNet', depth=18, base_channels=4, init_cfg=init)
    )
    branches = HierarchicalBranches(5, backbone=backbone)
    branches.init_weights()
    assert backbone.init_cfg == init


def test_stages_by_name() -> None:
    backbone = small()
    branches = HierarchicalBranches(
        5, stages=['layer2', 'layer3'], backbone=backbone
    )
    logits = branches(maps_of(backbone)[1:])
    assert [tuple(entry.shape) for entry in logits] == [(2, 20)] * 2


def test_class_logits_of_a_branch(golden: Golden) -> None:
    case = golden('hssakd', 'branch_class_logits')
    np.testing.assert_allclose(
        class_logits(torch.from_numpy(case['ss'])).numpy(),
        case['class_logits'],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(backbone=None), 'backbone=None; give the built backbone'),
        (dict(num_classes=0), 'num_classes=0.*set num_classes'),
        (dict(num_rotations=5), 'num_rotations=5.*from 1 to 4'),
        (dict(stages='all'), "stages='all'; write stages='auto'"),
        (dict(stages=['layer9']), r"\['layer9'\] must be modules that"),
        (dict(stages=['layer2', 'layer1']), 'one after the other: conv1'),
    ],
)
def test_bad_settings(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HierarchicalBranches(
            **{'num_classes': 5, 'backbone': small()} | change
        )


def test_maps_of_other_stages_are_refused() -> None:
    backbone = small()
    branches = HierarchicalBranches(5, backbone=backbone)
    maps = maps_of(backbone)
    words = r"2 maps of \[4, 6\] channels, but the 3.*tap .*'backbone.layer1'"
    with pytest.raises(ValueError, match=words):
        branches(maps[:2])
    with pytest.raises(ValueError, match='3 maps of'):
        branches(maps[::-1])


def test_starting_biases_are_the_published_ones() -> None:
    """Zero for the residual networks of CIFAR, else PyTorch's."""
    stock = backbone_of(dict(type='ResNet', depth=18, base_channels=4))
    for backbone, is_zero in ((small(), True), (stock, False)):
        branches = HierarchicalBranches(5, backbone=backbone)
        branches.init_weights()
        assert branches.fcs[0].bias.eq(0).all() == is_zero


def test_vgg_without_its_last_pooling() -> None:
    backbone = backbone_of(
        dict(
            type='VGG',
            depth=11,
            norm_cfg=dict(type='BN'),
            with_last_pool=False,
        )
    )
    branches = HierarchicalBranches(5, backbone=backbone)
    ends = [f'features.{k}' for k in (1, 3, 6, 11)]
    assert branches.stage_names == ends  # 9 and 11: one resolution


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        (dict(type='LeNet5'), 'stages of LeNet5 are not known'),
        (dict(type='PCPVT', arch='small'), 'stages of PCPVT are not known'),
        (
            dict(type='SwinTransformerV2', arch='tiny', pad_small_map=True),
            'no branch can be made behind "stages.3" of SwinTransformerV2',
        ),
    ],
)
def test_unsuitable_backbones(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HierarchicalBranches(5, backbone=backbone_of(config))


def test_a_backbone_that_does_not_run() -> None:
    class Refusing(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError('never')

    with pytest.raises(
        ValueError, match=r'Refusing does not run on an image of 1x224x224'
    ):
        HierarchicalBranches(5, backbone=Refusing(1, 4, 3))


def test_taps_of_tokens_with_their_size() -> None:
    backbone = backbone_of(dict(type='SwinTransformer', arch='tiny'))
    branches = HierarchicalBranches(5, backbone=backbone)
    with pytest.raises(ValueError, match=r"tap .*'backbone.stages.0\[0\]'"):
        branches([torch.zeros(2, 4, 4)])


def test_unknown_backbones_need_stages() -> None:
    class Plain(nn.Sequential):
        pass

    backbone = Plain(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3, stride=2))
    with pytest.raises(ValueError, match='Plain are not known; set stages'):
        HierarchicalBranches(5, backbone=backbone)
    branches = HierarchicalBranches(5, stages=['0', '1'], backbone=backbone)
    maps = [backbone[0](torch.randn(2, 3, 16, 16))]
    maps.append(backbone[1](maps[0]))
    assert len(branches(maps)) == 2
