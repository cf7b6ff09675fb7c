"""What single families of CIFAR backbones do beyond the common promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.backbones import (
    CIFARVGG,
    CIFARDenseNet,
    CIFARMobileNetV2,
    CIFARResNet,
    CIFARShuffleNetV2,
    CIFARWideResNet,
    HCGNet,
)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def test_three_networks_are_called_resnet110() -> None:
    fc = {64: 6500, 256: 25700}
    for kwargs, channels, expected in [
        (dict(depth=110), 64, 1736564),
        (dict(depth=110, block='bottleneck'), 256, 1170868),
        (dict(depth=164, block='bottleneck'), 256, 1727284),
    ]:
        net = CIFARResNet(**kwargs)
        assert net.out_channels == channels
        assert count(net) + fc[channels] == expected


def test_bottleneck_called_wrn_20_8() -> None:
    net = CIFARResNet(20, 'bottleneck', width_factor=8)
    trunk = count(net.conv1, net.bn1, net.layer1, net.layer2)
    assert trunk == 1629776
    assert count(net.layer3) + 25700 == 5241444


@pytest.mark.parametrize(
    ('widths', 'expected'),
    [
        ((16, 32, 64), 277860),
        ((12, 25, 51), 175752),
        ((9, 19, 38), 100064),
        ((6, 12, 25), 44107),
        ((3, 6, 12), 11479),
    ],
)
def test_compressed_widths(
    widths: tuple[int, int, int], expected: int
) -> None:
    net = CIFARResNet(20, stage_channels=widths)
    stages = count(net.layer1, net.layer2, net.layer3)
    assert stages + count(nn.Linear(widths[-1], 100)) == expected


def test_names_and_sum_before_relu() -> None:
    net = CIFARResNet(8)
    keys = set(net.state_dict())
    assert {
        'conv1.weight',
        'bn1.weight',
        'layer1.0.conv1.weight',
        'layer1.0.bn2.bias',
        'layer2.0.downsample.0.weight',
        'layer3.0.downsample.1.running_var',
    } <= keys
    sums = []
    net.layer3[0].relu.register_forward_pre_hook(
        lambda _, args: sums.append(args[0])
    )
    (last,) = net(torch.randn(2, 3, 32, 32))
    assert (sums[0] < 0).any()
    assert torch.equal(sums[0].relu(), last)


def test_pad_shortcut_has_no_parameters() -> None:
    plain = CIFARResNet(20)
    padded = CIFARResNet(20, shortcut='pad')
    convs = [m for m in padded.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 19
    shortcuts = count(plain.layer2[0].downsample, plain.layer3[0].downsample)
    assert count(plain) - count(padded) == shortcuts > 0
    x = torch.randn(2, 16, 6, 6)
    out = padded.layer2[0].downsample(x)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert out.shape == (2, 32, 3, 3)
    assert not out[:, 16:].any()


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(depth=33), r'depth=33 is no 6n \+ 2.*8, 14, 20, 32, 44, 56'),
        (dict(depth=2), r'depth=2 is no 6n \+ 2'),
        (
            dict(depth=32, block='bottleneck'),
            r'depth=32 is no 9n \+ 2.*20, 29, 47, 56, 110, 164',
        ),
        (dict(depth=20, block='bottle'), "'basic', 'bottleneck'"),
        (dict(depth=20, shortcut='A'), "'conv', 'pad'"),
        (dict(depth=20, stage_channels=(16, 32)), 'one width per stage'),
        (
            dict(depth=20, shortcut='pad', stage_channels=(12, 25, 51)),
            'from 16 to 12 channels',
        ),
    ],
)
def test_wrong_resnet(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CIFARResNet(**kwargs)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: CIFARWideResNet(20), r'depth=20 is no 6n \+ 4.*16, 22, 28'),
        (lambda: CIFARWideResNet(16, 0), 'widen_factor=0 must be positive'),
        (lambda: CIFARDenseNet(20), r'depth=20 is no 6n \+ 4.*40, 100, 190'),
        (lambda: CIFARDenseNet(40, 0), 'growth_rate=0 and .* be positive'),
        (lambda: CIFARVGG(12), 'depth=12.*8, 11, 13, 16, 19'),
        (lambda: CIFARVGG(13, num_pools=2), 'num_pools=2.*3, 4, 5'),
        (lambda: CIFARMobileNetV2(stem_stride=3), 'stem_stride=3.*1, 2'),
        (lambda: CIFARMobileNetV2(0.01), 'widen_factor=0.01 leaves no'),
        (lambda: CIFARShuffleNetV2(0.75), '0.75.*0.5, 1.0, 1.5, 2.0'),
        (
            lambda: CIFARShuffleNetV2(1.0, stem_kernel_size=5),
            'stem_kernel_size=5.*1, 3',
        ),
        (lambda: HCGNet('A3'), "arch='A3'.*'A1', 'A2'"),
    ],
)
def test_wrong_arguments(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_wide_shortcut_sees_the_activated_input() -> None:
    block = CIFARWideResNet(10, 2).layer1[0].eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(block(x), block.downsample(block.bn1(x).relu()))
    assert block.downsample.bias is None


@pytest.mark.parametrize(
    ('num_pools', 'size', 'expected'),
    [(None, 32, 4), (3, 32, 4), (4, 32, 2), (5, 32, 1)]
    + [(None, 64, 4), (3, 64, 8)],
)
def test_vgg_pools(num_pools: int | None, size: int, expected: int) -> None:
    net = CIFARVGG(8, num_pools=num_pools)
    (last,) = net(torch.randn(2, 3, size, size))
    assert last.shape == (2, 512, expected, expected)
    assert (len(net.stage_names) == 7) == (num_pools == 5)


def test_gates_need_two_images_in_training() -> None:
    net = HCGNet('A1')
    x = torch.randn(1, 3, 32, 32)
    with pytest.raises(ValueError, match='batch of 1 image.*drop_last'):
        net(x)
    net.eval()
    assert net(x)[0].shape == (1, 414, 8, 8)


def test_hcgnet_takes_oblong_images() -> None:
    net = HCGNet('A1').eval()
    assert net(torch.randn(1, 3, 16, 32))[0].shape == (1, 414, 4, 8)


def test_shufflenet_v2_equals_mmpretrain_behind_the_stem() -> None:
    pytest.importorskip('mmpretrain')
    from mmpretrain.models import ShuffleNetV2

    stock = ShuffleNetV2(widen_factor=1.0, out_indices=(3,))
    ours = CIFARShuffleNetV2(1.0)
    groups = dict(layer1=stock.layers[0], layer2=stock.layers[1])
    groups |= dict(layer3=stock.layers[2])
    x = torch.randn(2, 24, 8, 8)
    for name, stage in groups.items():
        mine = ours.get_submodule(name)
        # both arms in the same order, though under other names
        values = list(stage.state_dict().values())
        mine.load_state_dict(
            dict(zip(mine.state_dict(), values, strict=True)), strict=True
        )
        stage.eval()
        mine.eval()
        with torch.no_grad():
            wanted = stage(x)
            torch.testing.assert_close(mine(x), wanted)
        x = wanted
