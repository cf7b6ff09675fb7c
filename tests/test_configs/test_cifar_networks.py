"""The CIFAR network configs build and have the size that the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip('mmpretrain')

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / '_base_' / 'models' / 'cifar'
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py'))
# parameters and multiply-adds (M) of the published implementations
PUBLISHED = dict(
    resnet8=(83892, 12.5),
    resnet14=(181108, 26.7),
    resnet20=(278324, 40.8),
    resnet32=(472756, 69.13),
    resnet44=(667188, 97.4),
    resnet56=(861620, 125.75),
    resnet110_basic=(1736564, 253.2),
    resnet110_bottleneck=(1170868, 167.45),
    resnet8x4=(1233540, 177.1),
    resnet32x4=(7433860, 1083.0),
    resnet50=(23705252, 1298.0),
    wrn_16_1=(180916, 26.7),
    wrn_16_2=(703284, 101.12),
    wrn_28_4=(5872180, 845.62),
    wrn_40_1=(569780, 83.3),
    wrn_40_2=(2255156, 327.61),
    densenet_40_12=(188092, 72.4),
    vgg8=(3965028, 96.2),
    vgg11=(9277284, 209.4),
    vgg13=(9462180, 284.9),
    vgg16=(14774436, 398.2),
    vgg19=(20086692, 511.4),
    mobilenet_v2_half=(812836, 6.5),
    mobilenet_v2_half_stride1=(812836, 25.7),
    shufflenet_v1=(949258, 38.7),
    shufflenet_v2_05x=(444292, 10.99),
    shufflenet_v2_1x=(1356104, 45.09),
    shufflenet_v2_1x_stem1x1=(1355528, 44.5),
)


def build(name: str) -> nn.Module:
    return MODELS.build(Config.fromfile(FOLDER / f'{name}.py').model)


def page_rows() -> dict[str, list[str]]:
    """Rows of the table of networks: config -> the other cells."""
    rows = {}
    for line in (ROOT / 'docs/cifar_networks.md').read_text().splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if len(cells) == 6 and cells[0] in CONFIGS:
            rows[cells[0]] = cells[1:]
    return rows


def multiply_adds(network: nn.Module) -> float:
    """Millions, of convolutions and linear layers, for one 32x32 image."""
    network.to('meta').eval()
    with FlopCounterMode(display=False) as counter:
        image = torch.zeros(1, 3, 32, 32, device='meta')
        network.head(network.extract_feat(image))
    flops = sum(
        count
        for operator, count in counter.get_flop_counts()['Global'].items()
        if 'convolution' in str(operator) or 'addmm' in str(operator)
    )
    return flops / 2e6


@pytest.mark.parametrize('name', CONFIGS)
def test_page_says_what_is_measured(name: str) -> None:
    kind, parameters, macs, width, _ = page_rows()[name]
    network = build(name)
    assert type(network.backbone).__name__ == kind
    count = sum(p.numel() for p in network.parameters())
    assert f'{count:,}'.replace(',', ' ') == parameters
    assert network.head.in_channels == int(width)
    assert f'{multiply_adds(network):.2f}' == macs
    if name in PUBLISHED:
        assert count == PUBLISHED[name][0]
        assert float(macs) == pytest.approx(PUBLISHED[name][1], abs=0.051)


@pytest.mark.parametrize(
    'name', ['resnet20', 'wrn_16_2', 'vgg8', 'shufflenet_v2_05x']
)
def test_head_starts_as_published(name: str) -> None:
    network = build(name)
    network.init_weights()
    weight, bias = network.head.fc.weight, network.head.fc.bias
    bound = weight.shape[1] ** -0.5
    if name == 'vgg8':
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)
    else:
        assert 0.99 * bound < weight.abs().max().item() <= bound
    assert bool((bias == 0).all()) == (name in ('wrn_16_2', 'vgg8'))


@pytest.mark.parametrize('name', ['resnet8', 'hcgnet_a1'])
def test_network_trains_and_reloads(name: str) -> None:
    from mmpretrain.structures import DataSample

    network = build(name)
    samples = [DataSample().set_gt_label(k) for k in range(2)]
    images = torch.randn(2, 3, 32, 32)
    loss = network(images, samples, mode='loss')['loss']
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())
    again = build(name)
    again.load_state_dict(network.state_dict(), strict=True)
    network.eval()
    again.eval()
    with torch.no_grad():
        assert torch.equal(
            network(images, mode='tensor')[0], again(images, mode='tensor')[0]
        )
