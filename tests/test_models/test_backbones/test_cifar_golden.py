"""CIFAR backbones against numbers of the published implementations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmkd.models.backbones import (
    CIFARVGG,
    CIFARBackbone,
    CIFARMobileNetV2,
    CIFARResNet,
    CIFARShuffleNetV1,
    CIFARShuffleNetV2,
    CIFARWideResNet,
    HCGNet,
)
from tests.support.backbone_fills import (
    fill_by_order,
    fill_by_role,
    image,
    input_by_role,
)

Golden = Callable[[str, str], dict[str, np.ndarray]]
MCL = {
    'resnet32': (CIFARResNet, dict(depth=32)),
    'resnet56': (CIFARResNet, dict(depth=56)),
    'resnet110': (CIFARResNet, dict(depth=110, block='bottleneck')),
    'wrn_16_2': (CIFARWideResNet, dict(depth=16, widen_factor=2)),
    'wrn_40_2': (CIFARWideResNet, dict(depth=40, widen_factor=2)),
    'wrn_28_4': (CIFARWideResNet, dict(depth=28, widen_factor=4)),
    'hcgnet_A1': (HCGNet, dict(arch='A1')),
    'hcgnet_A2': (HCGNet, dict(arch='A2')),
    'ShuffleNetV2_05x': (CIFARShuffleNetV2, dict(widen_factor=0.5)),
    'ShuffleNetV2_1x': (CIFARShuffleNetV2, dict(widen_factor=1.0)),
}
CRD = {
    'resnet20': (CIFARResNet, dict(depth=20)),
    'resnet8x4': (
        CIFARResNet,
        dict(depth=8, stem_channels=32, base_channels=64),
    ),
    'wrn_16_2': (CIFARWideResNet, dict(depth=16, widen_factor=2)),
    'vgg8': (CIFARVGG, dict(depth=8)),
    'MobileNetV2': (CIFARMobileNetV2, dict(stem_stride=2)),
    'ShuffleV1': (CIFARShuffleNetV1, {}),
}
HSAKD = {
    'mobilenetV2': (CIFARMobileNetV2, dict(stem_stride=1), (1, 2, 3, 4)),
    'vgg13_bn': (CIFARVGG, dict(depth=13), (1, 2, 3, 5)),
}


class Classifier(nn.Module):
    """Pools the last map and classifies."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, 100)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        return self.fc(maps[-1].mean((2, 3)))


def build(spec: tuple[type[CIFARBackbone], dict[str, Any]]) -> CIFARBackbone:
    return spec[0](**spec[1])


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


@pytest.mark.parametrize('name', MCL)
def test_output_equals_mcl_code(golden: Golden, name: str) -> None:
    case = golden('mcl', 'cifar_backbones')
    net = build(MCL[name])
    head = Classifier(net.out_channels)
    fill_by_role(net, head)
    net.eval()
    with torch.no_grad():
        maps = net(input_by_role())
        logits = head(maps)
    embedding = maps[-1].mean((2, 3)).numpy()
    for prefix in (f'{name}_single', f'{name}_branch4'):
        np.testing.assert_allclose(
            embedding, case[f'{prefix}_embedding'], rtol=1e-7, atol=1e-10
        )
        np.testing.assert_allclose(
            logits.numpy(), case[f'{prefix}_logits'], rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize('name', MCL)
def test_parameters_of_network_and_branches(golden: Golden, name: str) -> None:
    case = golden('mcl', 'cifar_backbones')
    net = build(MCL[name])
    head = Classifier(net.out_channels)
    groups = [
        [net.get_submodule(module) for module in group]
        for group in net.stage_names
    ]
    sizes = [count(*modules) for modules in groups]
    assert sum(sizes) == count(net)
    trunk, branch = sum(sizes[:2]), sum(sizes[2:]) + count(head)
    assert trunk + branch == case[f'{name}_single_num_params']
    assert trunk + 4 * branch == case[f'{name}_branch4_num_params']


def run_with_taps(
    net: CIFARBackbone, network: nn.Module, images: Tensor, stages: list[str]
) -> tuple[Tensor, list[Tensor]]:
    taps: list[Tensor] = []
    hooks = [
        net.get_submodule(stage).register_forward_hook(
            lambda _, __, output: taps.append(output)
        )
        for stage in stages
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    return logits, taps


def check_case(
    case: dict[str, np.ndarray], logits: Tensor, taps: list[Tensor]
) -> None:
    np.testing.assert_allclose(
        logits.numpy(), case['logits'], rtol=1e-5, atol=1e-6
    )
    for index, tap in enumerate(taps):
        assert tuple(tap.shape) == tuple(case[f'tap{index}_shape'])
        np.testing.assert_allclose(
            tap.mean((0, 2, 3)).numpy(),
            case[f'tap{index}_channel_mean'],
            rtol=1e-5,
            atol=1e-6,
        )
        assert tap.abs().mean().item() == pytest.approx(
            float(case[f'tap{index}_abs_mean']), rel=1e-5
        )


@pytest.mark.parametrize('name', CRD)
def test_output_equals_crd_code(golden: Golden, name: str) -> None:
    case = golden('cls_baselines', f'backbone_{name}')
    net = build(CRD[name])
    head = Classifier(net.out_channels)
    assert count(net, head) == case['n_params']
    network = fill_by_order(net, head)
    stem = net.stem_names[-1:]
    stages = [*stem, *(f'layer{k}' for k in range(1, net.num_stages + 1))]
    logits, taps = run_with_taps(
        net, network, image((2, 3, 32, 32), 12345).float().double(), stages
    )
    check_case(case, logits, taps)
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    np.testing.assert_allclose(
        norm.running_mean.numpy(), case['first_bn_running_mean'], atol=1e-6
    )
    np.testing.assert_allclose(
        norm.running_var.numpy(), case['first_bn_running_var'], rtol=1e-5
    )


@pytest.mark.parametrize('name', HSAKD)
def test_output_equals_hsakd_code(golden: Golden, name: str) -> None:
    case = golden('hssakd', f'aux_{name}')
    cls, kwargs, stages = HSAKD[name]
    net = cls(**kwargs)
    head = Classifier(net.out_channels)
    assert count(net, head) == case['n_params_backbone']
    network = fill_by_order(net, head)
    images = image((2, 3, 32, 32), 12345).float().double()
    rotated = torch.stack(
        [torch.rot90(images, k, (2, 3)) for k in range(4)], 1
    ).flatten(0, 1)
    names = [f'layer{stage}' for stage in stages]
    logits, taps = run_with_taps(net, network, rotated, names)
    check_case(case, logits, taps)
