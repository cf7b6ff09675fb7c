"""Taps on small networks of awkward shape."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.taps import TapPath, Taps, expand_braces


class Stages(nn.Module):
    """Two stages that come out as a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, 4, 1)
        self.layer2 = nn.Conv2d(4, 5, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        one = self.layer1(x)
        return one, self.layer2(one)


class Network(nn.Module):
    """Tuple outputs, a shared module, keyword calls, an idle module."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Stages()
        self.shared = nn.Conv2d(5, 5, 1)
        self.idle = nn.Conv2d(5, 5, 1)
        self.table = Table()
        self.norm = nn.BatchNorm2d(5)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, y = self.backbone(x)
        y = self.shared(self.shared(y))
        y = self.table(x=y)['y']
        return self.relu(self.norm(y))


class Table(nn.Module):
    """Takes a keyword, gives a dict."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(y=x * 1.0)


@pytest.fixture
def network() -> Network:
    return Network().eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 6, 6)


def hook_count(network: nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks)
        for m in network.modules()
    )


def record(network: nn.Module, images: torch.Tensor, path: Any) -> Any:
    taps = Taps(network, dict(feats=path))
    with taps.recording() as seen:
        network(images)
    return seen['feats']


@pytest.mark.parametrize(
    ('text', 'module', 'end', 'index'),
    [
        ('a.b', 'a.b', 'output', None),
        ('a.b:output', 'a.b', 'output', None),
        ('a.b:input', 'a.b', 'input', None),
        ('a.0.b[2]', 'a.0.b', 'output', 2),
        ('a:input[-1]', 'a', 'input', -1),
        ('', '', 'output', None),
    ],
)
def test_parse(text: str, module: str, end: str, index: int | None) -> None:
    path = TapPath.parse(text)
    assert (path.module, path.end, path.index) == (module, end, index)
    assert TapPath.parse(str(path)) == path


@pytest.mark.parametrize(
    'text', ['a b', 'a:inputs', 'a[x]', 'a[1', 'layer{1,2', 'a[0][1]', 'a:']
)
def test_bad_paths_are_refused(network: Network, text: str) -> None:
    with pytest.raises(ValueError, match='not understood'):
        Taps(network, dict(feats=text))


@pytest.mark.parametrize('given', [None, 3, [], dict(student='a')])
def test_bad_tap_types_are_refused(network: Network, given: Any) -> None:
    with pytest.raises(TypeError, match='tap feats='):
        Taps(network, dict(feats=given))


def test_braces() -> None:
    assert expand_braces('a.b') == ['a.b']
    assert expand_braces('l{1,2}.{x, y}') == ['l1.x', 'l1.y', 'l2.x', 'l2.y']


def test_output_and_input(network: Network, images: torch.Tensor) -> None:
    one = network.backbone.layer1(images)
    assert torch.equal(record(network, images, 'backbone.layer1'), one)
    assert torch.equal(record(network, images, 'backbone.layer2:input'), one)
    assert torch.equal(record(network, images, ''), network(images))


@pytest.mark.parametrize('path', ['layer2:input[0]', 'layer2:input[-1]'])
def test_index_of_a_single_argument(
    network: Network, images: torch.Tensor, path: str
) -> None:
    one = network.backbone.layer1(images)
    assert torch.equal(record(network, images, f'backbone.{path}'), one)


def test_several_paths_give_a_list(
    network: Network, images: torch.Tensor
) -> None:
    one, two = network.backbone(images)
    for path in (
        'backbone.layer{1,2}',
        ['backbone.layer1', 'backbone.layer2'],
        ['backbone[0]', 'backbone[1]'],
        ['backbone.layer{1,2}'],
        'backbone',
        ['backbone[-2]', 'backbone[-1]'],
    ):
        seen = record(network, images, path)
        assert isinstance(seen, list)
        assert len(seen) == 2
        assert torch.equal(seen[0], one)
        assert torch.equal(seen[1], two)


def test_one_path_in_a_list_stays_a_list(
    network: Network, images: torch.Tensor
) -> None:
    seen = record(network, images, ['backbone[1]'])
    assert isinstance(seen, list)
    assert len(seen) == 1


@pytest.mark.parametrize('index', [2, -3])
def test_index_beyond_the_outputs(
    network: Network, images: torch.Tensor, index: int
) -> None:
    with pytest.raises(ValueError, match=f'no entry {index} in a tuple of 2'):
        record(network, images, f'backbone[{index}]')


def test_index_on_a_tensor_does_not_pick_an_image(
    network: Network, images: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match='leave out the index'):
        record(network, images, 'backbone.layer1[0]')


def test_module_called_twice_gives_both(
    network: Network, images: torch.Tensor
) -> None:
    seen = record(network, images, 'shared')
    assert len(seen) == 2
    assert torch.equal(seen[1], network.shared(seen[0]))


def test_module_not_called(network: Network, images: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match='"idle": the module was not call'):
        record(network, images, 'idle')


def test_ran_tells_which_modules_were_called(
    network: Network, images: torch.Tensor
) -> None:
    taps = Taps(network, dict(yes='shared', no='idle', half='{idle,norm}'))
    with taps.recording() as seen:
        network(images)
    assert [seen.ran(n) for n in ('yes', 'no', 'half')] == [True, False, False]


def test_keyword_input(network: Network, images: torch.Tensor) -> None:
    seen = record(network, images, 'table:input')
    assert torch.equal(seen, record(network, images, 'shared')[1])


def test_dict_output_is_explained(
    network: Network, images: torch.Tensor
) -> None:
    with pytest.raises(TypeError, match='there is a dict'):
        record(network, images, 'table')


def test_overwritten_tensor_is_noticed(
    network: Network, images: torch.Tensor
) -> None:
    with pytest.raises(RuntimeError, match='changed in place'):
        record(network, images, 'norm')
    assert torch.equal(record(network, images, 'relu'), network(images))


def test_overwritten_entry_of_a_tuple_is_noticed(images: torch.Tensor) -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = Stages()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, two = self.stages(x)
            return one.mul_(0).sum() + two.sum()

    network = Overwriting().requires_grad_(False)
    with pytest.raises(RuntimeError, match='changed in place'):
        record(network, images, 'stages')


def test_inference_tensors_are_recorded(
    network: Network, images: torch.Tensor
) -> None:
    with torch.inference_mode():
        seen = record(network, images, 'backbone.layer1')
    assert seen.shape == (2, 4, 6, 6)


def test_unknown_module_lists_nearest(network: Network) -> None:
    with pytest.raises(KeyError) as error:
        Taps(network, dict(feats='backbone.layer3'))
    message = str(error.value)
    assert 'tap feats="backbone.layer3"' in message
    assert 'Network has no such module' in message
    assert 'backbone.layer1' in message
    assert 'backbone.layer2' in message


def test_unknown_tap(network: Network, images: torch.Tensor) -> None:
    taps = Taps(network, dict(feats='shared'))
    with taps.recording() as seen:
        network(images)
    with pytest.raises(KeyError, match='"feat" is not recorded; known: feats'):
        seen['feat']


def test_hooks_are_there_only_while_recording(
    network: Network, images: torch.Tensor
) -> None:
    taps = Taps(network, dict(a='shared:input', b='backbone', c='norm'))
    assert hook_count(network) == 0
    with taps.recording():
        assert hook_count(network) == 3
    assert hook_count(network) == 0
    with pytest.raises(RuntimeError), taps.recording():
        network(images[:, :2])
    assert hook_count(network) == 0


def test_nested_recordings_are_separate(
    network: Network, images: torch.Tensor
) -> None:
    taps = Taps(network, dict(feats='backbone.layer1'))
    with taps.recording() as outer:
        network(images)
        with taps.recording() as inner:
            network(images + 1)
        outer.freeze()
        network(images + 2)
    assert len(outer['feats']) == 2
    assert torch.equal(inner['feats'], outer['feats'][1])


def test_gradient_flows_through_a_tap(
    network: Network, images: torch.Tensor
) -> None:
    record(network, images, 'backbone.layer1').sum().backward()
    assert network.backbone.layer1.weight.grad is not None
    assert network.backbone.layer2.weight.grad is None


def test_deep_copy_taps_the_copy(
    network: Network, images: torch.Tensor
) -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.taps = Taps(network, dict(feats='backbone.layer1'))

    owner = Owner()
    twin = copy.deepcopy(owner)
    nn.init.zeros_(twin.network.backbone.layer1.weight)
    nn.init.zeros_(twin.network.backbone.layer1.bias)
    with twin.taps.recording() as seen:
        twin.network(images)
        owner.network(images)
    assert seen['feats'].abs().sum() == 0
    assert hook_count(owner) == hook_count(twin) == 0


def test_replaced_module_is_found(
    network: Network, images: torch.Tensor
) -> None:
    """As a conversion of normalisation layers does it."""
    taps = Taps(network, dict(feats='norm:input', logits='shared'))
    network.norm = nn.BatchNorm2d(5).eval()
    with taps.recording() as seen:
        network(images)
    assert seen['feats'].shape == (2, 5, 6, 6)


def test_same_taps_on_another_network(
    network: Network, images: torch.Tensor
) -> None:
    other = Network().eval()
    taps = Taps(network, dict(feats='backbone.layer{1,2}')).on(other)
    with taps.recording() as seen:
        other(images)
    assert torch.equal(seen['feats'][0], other.backbone.layer1(images))
    assert taps.describe('feats') == 'backbone.layer1, backbone.layer2'


def test_recorded_tensors_are_released(
    network: Network, images: torch.Tensor
) -> None:
    import gc
    import weakref

    taps = Taps(network, dict(feats='backbone.layer1'))
    with taps.recording() as seen:
        network(images)
    kept = weakref.ref(seen['feats'])
    assert kept() is not None
    del seen
    gc.collect()
    assert kept() is None
