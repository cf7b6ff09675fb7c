"""ResNetV1s against the authors' network and block."""

from __future__ import annotations

import pytest
import torch

from tests.support.formula_weights import (
    formula_input,
    layers,
    read_state_order,
    set_formula_weights,
)

pytest.importorskip('mmseg')
from mmkd.models.backbones.resnet_v1s import (  # noqa: E402
    DilatedBasicBlock,
    ResNetV1s,
)
from mmkd.registry import MODELS  # noqa: E402


def stats(x):
    return torch.stack([x.mean(), x.std(unbiased=False), x.abs().max()])


def test_resnet18_equals_published_network(golden):
    case = golden('cirkd', '20_model_resnet18_deep_stem')
    net = ResNetV1s(18, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    net.eval()
    order = []
    for block in [b for s in net.res_layers for b in getattr(net, s)]:
        order += layers(block.conv1, block.norm1, block.conv2, block.norm2)
        if block.downsample is not None:
            order += layers(block.downsample)
    order = layers(net.stem) + order
    shapes = read_state_order('resnet18_deep_stem')
    set_formula_weights(order, shapes)
    x = formula_input(
        case['input_shape'],
        case['input_formula_index'],
        float(case['input_scale']),
    )
    with torch.no_grad():
        maps = net(x)
    for index, output in enumerate(maps, start=1):
        expected = torch.from_numpy(case[f'c{index}_stats'])
        torch.testing.assert_close(stats(output), expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(
        maps[3].float(), torch.from_numpy(case['c4']), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('number', range(4))
def test_basic_block_equals_published_block(golden, number):
    case = golden('cirkd', '26_model_basicblock_dilation')

    def tensor(name):
        return torch.from_numpy(case[f'case{number}_{name}'])

    block = DilatedBasicBlock(
        inplanes=3,
        planes=3,
        dilation=int(tensor('dilation_conv1')),
        conv2_dilation=int(tensor('dilation_conv2')),
    ).eval()
    state = {
        name: tensor(name.replace('.', '_'))
        for name in block.state_dict()
        if not name.endswith('num_batches_tracked')
    }
    block.load_state_dict(state, strict=False)
    with torch.no_grad():
        y = block(tensor('x'))
    torch.testing.assert_close(y, tensor('y'), rtol=1e-5, atol=1e-5)


def test_keys_are_those_of_resnet_v1c():
    stock = MODELS.build(
        dict(type='mmseg.ResNetV1c', depth=18, stem_channels=128)
    )
    ours = MODELS.build(dict(type='mmkd.ResNetV1s', depth=18))
    one, two = (
        {name: value.shape for name, value in net.state_dict().items()}
        for net in (stock, ours)
    )
    assert one == two


@pytest.mark.parametrize('depth', [18, 50])
def test_dilations_of_the_3x3_convolutions(depth):
    net = ResNetV1s(depth, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    found = [
        [
            conv.dilation[0]
            for name, conv in stage.named_modules()
            if getattr(conv, 'kernel_size', None) == (3, 3)
        ]
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4)
    ]
    expected = {
        18: [[1] * 4, [1] * 4, [1, 2, 2, 2], [2, 4, 4, 4]],
        50: [[1] * 3, [1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]],
    }[depth]
    assert found == expected


def test_blocks_start_with_unit_batch_norm():
    net = ResNetV1s(18, base_channels=8)
    net.init_weights()
    assert torch.equal(net.layer1[0].norm2.weight, torch.ones(8))
