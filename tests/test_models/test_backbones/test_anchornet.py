"""AnchorNet's trunk: the authors' numbers, windows, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmkd.models.backbones import AnchorNetBackbone
from mmkd.models.backbones.anchornet import AnchorBlock
from mmkd.models.backbones.anchornet_weights import convert_anchornet
from tests.references import anchornet as reference

GOLDEN = Path(__file__).parents[2] / 'golden' / 'anchornet'


def load(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as content:
        return {k: torch.from_numpy(content[k]) for k in content.files}


def close(found: Tensor, wanted: Tensor, rtol: float, atol: float) -> None:
    scale = float(wanted.abs().max())
    torch.testing.assert_close(
        found, wanted, rtol=rtol, atol=atol * scale, check_dtype=False
    )


def trunk(**kwargs: object) -> AnchorNetBackbone:
    torch.manual_seed(0)
    return AnchorNetBackbone(**kwargs).double().eval()


@pytest.mark.parametrize(
    'name', sorted(path.name for path in GOLDEN.glob('block_*.npz'))
)
def test_block_gives_the_authors_numbers(name: str) -> None:
    case = load(name)
    _, in_channels, expansion, out_channels, stride, _ = case['args'].tolist()
    block = AnchorBlock(
        int(in_channels), expansion, int(out_channels), int(stride)
    )
    own = block.state_dict()
    block.load_state_dict(
        {k: case.get(f'p:{k}', value) for k, value in own.items()}
    )
    block.eval()
    x = case['x'].requires_grad_()
    out = block(x)
    close(out, case['y_eval'], 1e-4, 1e-5)
    (out * case['cotangent']).sum().backward()
    close(x.grad, case['grad_x_eval'], 1e-3, 2e-4)
    block.train()
    close(block(x), case['y_train'], 1e-4, 1e-5)
    assert 'after_train:bn2.running_var' in case
    for key, value in block.state_dict().items():
        if 'running' in key and f'after_train:{key}' in case:
            close(value, case[f'after_train:{key}'], 1e-4, 1e-5)


@pytest.mark.parametrize(
    ('expansion', 'out_channels', 'stride'),
    [(1, 6, 2), (1.5, 8, 1), (2, 6, 1)],
)
@pytest.mark.parametrize('with_se', [True, False])
def test_block_is_the_slow_one(
    expansion: float, out_channels: int, stride: int, with_se: bool
) -> None:
    torch.manual_seed(0)
    block = AnchorBlock(8, expansion, out_channels, stride, with_se).double()
    for name, value in block.state_dict().items():
        if 'running' in name:
            value.uniform_(0.5, 1.5)
    block.eval()
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    slow = reference.block(x, block.state_dict(), stride)
    torch.testing.assert_close(block(x), slow)


def support(
    backbone: torch.nn.Module, size: int, row: int, column: int
) -> list:
    x = torch.randn(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    backbone(x)[-1][0, :, row, column].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    bounds = [rows[0], columns[0], rows[-1], columns[-1]]
    return [int(b) for b in bounds]


def test_windows_are_the_authors() -> None:
    with np.load(GOLDEN / 'receptive_field.npz') as case:
        names = [str(name) for name in case['columns']]
        rows = case['rows'].tolist()
    checked = 0
    for row in rows:
        size, blocks, r, c, grid, *bounds = row
        if blocks < 2:  # taps before a projection
            continue
        net = trunk(
            num_stride1_blocks=5, with_se=False, out_indices=(blocks - 1,)
        )
        assert net.grid_size(size) == grid
        if checked < 6 or blocks == 7:
            assert support(net, size, r, c) == bounds, names
            checked += 1
    assert checked


@pytest.mark.parametrize(
    ('size', 'grid'),
    [(95, 1), (96, 1), (102, 1), (103, 2), (127, 5), (192, 13), (224, 17)],
)
def test_grid(size: int, grid: int) -> None:
    net = AnchorNetBackbone().eval()
    assert net.grid_size(size) == grid
    with torch.no_grad():
        maps = net(torch.zeros(1, 3, size, 95))
    assert [tuple(m.shape) for m in maps] == [(1, 512, grid, 1)]


def test_published_sizes() -> None:
    net = AnchorNetBackbone()
    assert (net.patch_size, net.stride) == (95, 8)
    assert sum(p.numel() for p in net.parameters()) == 161_984 - 288
    widths = [block.se.se1.out_channels for block in net.bneck]
    assert widths == [4, 4, 6, 6, 12, 24, 24]
    assert AnchorNetBackbone(num_stride1_blocks=7).patch_size == 15 + 16 * 7


def test_shifted_image_gives_shifted_cells() -> None:
    net = trunk(with_se=False, num_stride1_blocks=2)
    x = torch.randn(1, 3, 80, 80, dtype=torch.float64)
    whole = net(x)[0]
    torch.testing.assert_close(net(x[..., 8:, 8:])[0], whole[..., 1:, 1:])
    window = x[..., 16 : 16 + 47, 8 : 8 + 47]
    torch.testing.assert_close(net(window)[0][..., 0, 0], whole[..., 2, 1])


def test_branches_have_their_own_windows() -> None:
    net = trunk(out_indices=(2, 4, 6), with_se=False)
    assert net.patch_sizes == (31, 63, 95)
    assert net.strides == (8, 8, 8)
    maps = net(torch.randn(1, 3, 111, 95, dtype=torch.float64))
    assert [m.shape[2:] for m in maps] == [(11, 9), (7, 5), (3, 1)]
    assert {'exp_conv', 'exp_convs.2', 'exp_convs.4'} <= {
        name for name, _ in net.named_modules()
    }


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r'at least 95x95 pixels, got 94x99'):
        AnchorNetBackbone()(torch.zeros(1, 3, 94, 99))
    with pytest.raises(ValueError, match=r'num_stride1_blocks=0'):
        AnchorNetBackbone(num_stride1_blocks=0)
    with pytest.raises(ValueError, match=r'out_indices=\(4, 2\).*0 to 6'):
        AnchorNetBackbone(out_indices=(4, 2))


def test_published_checkpoints_are_renamed() -> None:
    own = AnchorNetBackbone(num_stride1_blocks=1).state_dict()
    unused = {
        'bneck.0.conv1.weight': torch.zeros(16, 16, 1, 1),
        'bneck.0.bn1.weight': torch.zeros(16),
    }
    fc = {'fc.weight': torch.zeros(2, 512), 'fc.bias': torch.zeros(2)}
    published = {f'module.{k}': v for k, v in {**own, **unused, **fc}.items()}
    wanted = {f'backbone.{k}' for k in own} | {
        'head.fc.weight',
        'head.fc.bias',
    }
    assert set(convert_anchornet(published)) == wanted
    with pytest.raises(ValueError, match=r'layer1.*torchvision'):
        convert_anchornet({'layer1.0.conv1.weight': torch.zeros(1)})
