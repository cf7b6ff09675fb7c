"""Moving averages of networks."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmkd.models.cohorts.followers import Followers, make_followers


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def move(net: nn.Module) -> None:
    """What an optimizer's step does."""
    with torch.no_grad():
        for value in net.parameters():
            value.add_(torch.randn_like(value))


def test_average_by_hand() -> None:
    net = network()
    followers = Followers([net], momentum=0.9)
    expected = [value.detach().clone() for value in net.parameters()]
    for _ in range(3):
        move(net)
        followers.follow()
        for mean, value in zip(expected, net.parameters(), strict=True):
            mean.mul_(0.9).add_(value.detach(), alpha=0.1)
    for mean, value in zip(expected, followers[0].parameters(), strict=True):
        torch.testing.assert_close(value, mean)
        assert not value.requires_grad
    assert int(followers.steps) == 3


def test_warmup_is_an_arithmetic_mean() -> None:
    net = network()
    followers = Followers([net], momentum=0.999, warmup=True)
    seen = []
    for _ in range(4):
        move(net)
        seen.append(net[0].weight.detach().clone())
        followers.follow()
        torch.testing.assert_close(
            followers[0][0].weight, torch.stack(seen).mean(0)
        )


def test_momentum_grows_along_half_a_cosine() -> None:
    MessageHub.get_current_instance().update_info('max_iters', 4)
    followers = Followers([network()], momentum=0.5, final_momentum=1.0)
    found = []
    for _ in range(4):
        followers.follow()
        found.append(followers.current())
    assert found == pytest.approx(
        [1 - 0.25 * (math.cos(math.pi * t / 4) + 1) for t in (1, 2, 3, 4)]
    )


@pytest.mark.parametrize('buffers', ['copy', 'own'])
def test_running_averages(buffers: str) -> None:
    net = network()
    followers = Followers([net], momentum=0.9, buffers=buffers)
    followers.train()
    assert followers[0].training is (buffers == 'own')
    net(torch.randn(8, 3) + 5)
    followers[0](torch.randn(8, 3))
    followers.follow()
    same = torch.equal(followers[0][1].running_mean, net[1].running_mean)
    assert same is (buffers == 'copy')
    assert int(followers[0][1].num_batches_tracked) == 1


def test_shared_modules_are_averaged_once() -> None:
    first, second = network(), network(1)
    second[0] = first[0]
    followers = Followers([first, second], momentum=0.5)
    assert followers[0][0] is followers[1][0]
    before = first[0].weight.detach().clone()
    move(first)
    followers.follow()
    mean = (before + first[0].weight.detach()) / 2
    torch.testing.assert_close(followers[1][0].weight, mean)


def test_start_takes_weights_and_buffers() -> None:
    net = network()
    followers = Followers([net], [nn.Linear(4, 2)])
    move(net)
    net[1].running_mean.fill_(7)
    followers.follow()
    followers.start()
    assert int(followers.steps) == 0
    for key, value in followers[0].state_dict().items():
        assert torch.equal(value, net.state_dict()[key])


def test_resumed_equals_straight() -> None:
    net = network()
    straight = Followers([net], momentum=0.9, warmup=True)
    for _ in range(2):
        move(net)
        straight.follow()
    resumed = Followers([net], momentum=0.9, warmup=True)
    resumed.load_state_dict(straight.state_dict())
    move(net)
    for followers in (straight, resumed):
        followers.follow()
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_what_is_followed_is_not_registered() -> None:
    net = network()
    followers = Followers([net])
    ours = {id(value) for value in followers.parameters()}
    assert not ours & {id(value) for value in net.parameters()}
    assert set(followers.state_dict()) == {
        'steps', *(f'networks.0.{key}' for key in net.state_dict())
    }  # fmt: skip


def test_copies_of_a_model_follow_their_own_networks() -> None:
    model = nn.ModuleDict(dict(net=network()))
    model['followers'] = Followers([model['net']], momentum=0.0)
    twin: Any = copy.deepcopy(model)
    move(twin['net'])
    twin['followers'].follow()
    assert torch.equal(twin['followers'][0][0].weight, twin['net'][0].weight)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(momentum=1.5), 'momentum=1.5 must lie between 0 and 1'),
        (dict(final_momentum=-1), 'final_momentum=-1 must lie'),
        (dict(buffers='mean'), "buffers='mean' must be one of copy, own"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Followers([network()], **options)


def test_unknown_options_are_named() -> None:
    words = 'model.teacher has the unknown key momentun; known: buffers'
    with pytest.raises(TypeError, match=words):
        make_followers('model.teacher', [network()], [], dict(momentun=0.9))
