"""What all CIFAR backbones promise: stages, taps, sharing, initial values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
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

SMALL: dict[str, dict[str, Any]] = {
    'CIFARResNet': dict(depth=8),
    'CIFARResNet-pad': dict(depth=8, shortcut='pad'),
    'CIFARResNet-bottleneck': dict(depth=11, block='bottleneck'),
    'CIFARWideResNet': dict(depth=10, widen_factor=2),
    'CIFARVGG': dict(depth=8),
    'CIFARDenseNet': dict(depth=10),
    'CIFARMobileNetV2': {},
    'CIFARShuffleNetV1': {},
    'CIFARShuffleNetV2': dict(widen_factor=0.5),
    'HCGNet': dict(arch='A1'),
}
FAMILIES = pytest.mark.parametrize('name', SMALL)


def build(name: str, **kwargs: Any) -> CIFARBackbone:
    kind = 'mmkd.' + name.partition('-')[0]
    return MODELS.build(dict(type=kind, **SMALL[name], **kwargs))


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


@FAMILIES
def test_groups_hold_every_module_in_forward_order(name: str) -> None:
    net = build(name)
    names = [module for group in net.stage_names for module in group]
    assert sorted(names) == sorted(n for n, _ in net.named_children())
    order: list[str] = []
    for module in names:
        net.get_submodule(module).register_forward_hook(
            lambda *_, module=module: order.append(module)
        )
    net(torch.randn(2, 3, 32, 32))
    assert order == names


@FAMILIES
def test_maps_are_stages_and_the_last_is_behind_the_tail(name: str) -> None:
    stages = build(name).num_stages
    net = build(name, out_indices=range(stages)).eval()
    raw: list[Tensor] = []
    for k in range(1, stages + 1):
        net.get_submodule(f'layer{k}').register_forward_hook(
            lambda _, __, output: raw.append(output)
        )
    with torch.no_grad():
        maps = net(torch.randn(2, 3, 32, 32))
        last = raw[-1]
        for module in net.tail_names:
            last = net.get_submodule(module)(last)
    assert len(maps) == stages
    for ours, stage in zip(maps[:-1], raw[:-1], strict=True):
        assert ours is stage
    assert torch.equal(maps[-1], last)
    assert [m.shape[1] for m in raw] == list(net.stage_channels)
    assert maps[-1].shape[1] == net.out_channels
    for before, after, stride in zip(
        raw[:-1], raw[1:], net.stage_strides[1:], strict=True
    ):
        # the transition at the end of HCGNet's stages is their stride
        if name != 'HCGNet':
            assert before.shape[-1] == stride * after.shape[-1]


@FAMILIES
def test_default_is_the_last_map_alone(name: str) -> None:
    net = build(name).eval()
    both = build(name, out_indices=(0, -1)).eval()
    both.load_state_dict(net.state_dict())
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        (last,) = net(x)
        first, same = both(x)
    assert torch.equal(last, same)
    assert first.shape[1] == net.stage_channels[0]


@pytest.mark.parametrize('out_indices', [(3,), (-4,), (0, 0), (2, -1), ()])
def test_wrong_out_indices(out_indices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='the 3 stages 0 to 2'):
        CIFARResNet(8, out_indices=out_indices)


@FAMILIES
def test_only_batch_norms_inside_blocks_are_written_in_place(
    name: str,
) -> None:
    net = build(name)
    seen: list[tuple[str, Tensor, int]] = []
    for path, module in net.named_modules():
        if path:
            module.register_forward_hook(
                lambda _, inputs, output, path=path: seen.extend(
                    (path, tensor, tensor._version)
                    for tensor in (*inputs, output)
                )
            )
    net(torch.randn(2, 3, 32, 32))[-1].sum().backward()
    assert len(seen) > 20
    written = {path for path, x, version in seen if x._version != version}
    for path in written:
        assert isinstance(net.get_submodule(path), nn.BatchNorm2d)
        assert path.count('.') > 1, f'{path} is not inside a block'


@FAMILIES
def test_shared_trunk_gets_the_sum_of_gradients(name: str) -> None:
    first, second = build(name).double(), build(name).double()
    trunk = [m for group in first.stage_names[:2] for m in group]
    for module in trunk:
        setattr(second, module, first.get_submodule(module))
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    weights = torch.randn(first.out_channels, dtype=torch.float64)

    def score(net: CIFARBackbone, start: Tensor) -> Tensor:
        for group in net.stage_names[2:]:
            for module in group:
                start = net.get_submodule(module)(start)
        return (start.mean((0, 2, 3)) * weights).sum()

    shared = [p for m in trunk for p in first.get_submodule(m).parameters()]
    wanted = [
        torch.autograd.grad((net(x)[-1].mean((0, 2, 3)) * weights).sum(), p)[0]
        for p in shared[-1:]
        for net in (first, second)
    ]
    start = x
    for module in trunk:
        start = first.get_submodule(module)(start)
    total = score(first, start) + score(second, start)
    (once,) = torch.autograd.grad(total, shared[-1])
    torch.testing.assert_close(once, sum(wanted), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(
    'name', [n for n in SMALL if 'Shuffle' not in n and n != 'HCGNet']
)
def test_convolutions_start_from_fan_out(name: str) -> None:
    net = build(name)
    net.init_weights()
    checked = 0
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
        if isinstance(layer, nn.Conv2d):
            if layer.bias is not None:
                assert (layer.bias == 0).all()
            if layer.weight.numel() < 4000:
                continue
            area = math.prod(layer.kernel_size)
            std = math.sqrt(2 / (area * layer.out_channels))
            assert layer.weight.std().item() == pytest.approx(std, rel=0.06)
            checked += 1
    assert checked > 1


@pytest.mark.parametrize(
    'name', ['CIFARShuffleNetV1', 'CIFARShuffleNetV2', 'HCGNet']
)
def test_default_initialisation_is_left(name: str) -> None:
    net = build(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.init_weights()
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


def test_own_initialisation_wins() -> None:
    net = CIFARResNet(
        8, init_cfg=dict(type='Constant', layer='Conv2d', val=0.5)
    )
    net.init_weights()
    assert (net.conv1.weight == 0.5).all()


# parameters of the branches that HSAKD hangs on each stage
BRANCHES = [
    (CIFARResNet, dict(depth=20), (283344, 231696, 247952)),
    (CIFARResNet, dict(depth=56), (838608, 675600, 691856)),
    (
        CIFARResNet,
        dict(depth=8, stem_channels=32, base_channels=64),
        (1251984, 1021840, 1283472),
    ),
    (
        CIFARWideResNet,
        dict(depth=16, widen_factor=2),
        (708560, 577040, 642704),
    ),
    (CIFARWideResNet, dict(depth=40), (560816, 453584, 470032)),
    (CIFARShuffleNetV1, {}, (1198540, 901240, 1018960)),
    (CIFARShuffleNetV2, {}, (1632716, 1388536, 1498736)),
    (CIFARMobileNetV2, {}, (1191768, 1180080, 1048688, 1250960)),
]


@pytest.mark.parametrize(('cls', 'kwargs', 'expected'), BRANCHES)
def test_new_stages_make_published_branches(
    cls: type[CIFARBackbone], kwargs: dict, expected: tuple[int, ...]
) -> None:
    net = cls(**kwargs)
    last = net.num_stages
    rest = count(*[net.get_submodule(n) for n in net.tail_names])
    rest += count(nn.Linear(net.out_channels, 400))
    found = [
        rest + sum(count(net.make_stage(k)) for k in range(tap + 1, last + 1))
        for tap in range(1, last)
    ]
    again = net.make_stage(last, net.stage_channels[-1], stride=1)
    assert (*found, rest + count(again)) == expected
    x = torch.randn(2, net.stage_channels[-1], 8, 8)
    assert again(x).shape == x.shape


def test_new_stages_of_vgg_make_published_branches() -> None:
    net = CIFARVGG(13)
    fc = count(nn.Linear(512, 400))
    sizes = [count(net.make_stage(k)) for k in range(1, 6)]
    found = [fc + sum(sizes[tap:]) for tap in (1, 2, 3)]
    again = net.make_stage(4, in_channels=512, stride=1)
    found.append(fc + count(again) + sizes[4])
    assert found == [9577104, 9355152, 8468880, 9648528]
    assert again(torch.randn(2, 512, 4, 4)).shape == (2, 512, 4, 4)


def test_new_hcgnet_stages_make_published_refinement() -> None:
    net = HCGNet('A1')
    tail = count(net.bn_last) + count(nn.Linear(net.out_channels, 100))
    third = count(net.make_stage(3)) + tail
    second = count(net.make_stage(2)) + third
    assert second + third == 1478429
