"""Shared trunks run once per view; gradients add up, or are divided."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.model import (
    ExponentialMovingAverage,
    convert_sync_batchnorm,
    revert_sync_batchnorm,
)
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmkd.models.cohorts import Cohort
from mmkd.models.cohorts.sharing import (
    SharedPart,
    SharedRun,
    leaves,
    nodes_by_level,
)
from tests.support.toy_cohort import batch_for, build_cohort, total

TRUNK = ['stem', 'stage1', 'stage2']
TREE = dict(
    shared=[['stem', 'stage1'], ['stage2']],
    tree=[[0, 1], [2, 3]],
)


def no_transfer(peers: int = 3, **cohort: Any) -> Any:
    return build_cohort(peers=peers, exchange=None, cohort=cohort)


def test_shared_modules_count_once() -> None:
    alone = no_transfer()
    shared = no_transfer(shared=TRUNK)
    peer = shared.cohort[0]
    trunk = sum(
        p.numel()
        for name in ('conv1', 'bn1', 'layer1', 'layer2')
        for p in getattr(peer.backbone, name).parameters()
    )

    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    assert count(alone) == 3 * count(peer)
    assert count(shared) == 3 * count(peer) - 2 * trunk
    assert shared.state_dict().keys() == alone.state_dict().keys()


@pytest.mark.parametrize(('per_peer', 'runs'), [(False, 1), (True, 3)])
def test_trunk_runs_once_per_view(per_peer: bool, runs: int) -> None:
    distiller = no_transfer(shared=TRUNK).train()
    batch = batch_for(distiller)
    if per_peer:
        batch['inputs'] = [batch['inputs'].clone() for _ in range(3)]
    trunk, branch = (
        distiller.cohort[0].backbone.bn1,
        distiller.cohort[1].backbone.layer3[0].bn1,
    )
    distiller(**batch, mode='loss')
    assert int(trunk.num_batches_tracked) == runs
    assert int(branch.num_batches_tracked) == 1
    for peer in distiller.cohort.peers:
        assert peer.backbone.bn1 is trunk
        assert 'forward' not in vars(trunk)


def trunk_gradients(model: Any, batch: Any, names: dict[str, Any]) -> Any:
    model.zero_grad()
    total(model(**batch, mode='loss')).backward()
    return {key: module.weight.grad.clone() for key, module in names.items()}


def unscaled_and_scaled(peers: int, **cohort: Any) -> Any:
    """Gradients of trunk, middle node and branch: plain sum and scaled."""
    found = []
    for scale in (False, True):
        model = no_transfer(peers, scale_gradient=scale, **cohort).eval()
        backbone = model.cohort[0].backbone
        found.append(
            trunk_gradients(
                model,
                batch_for(model),
                dict(
                    trunk=backbone.conv1,
                    middle=backbone.layer2[0].conv1,
                    branch=backbone.layer3[0].conv1,
                ),
            )
        )
    return found


def test_a_module_that_gives_several_tensors() -> None:
    """Each of them is scaled, or detached, as a single one is."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return self.fc(x), [2 * self.fc(x), None]

    shared = Pair()
    peers = nn.ModuleList(nn.ModuleDict({'pair': shared}) for _ in range(2))
    part = SharedPart(('pair',), (0, 1), 2)
    images = torch.randn(3, 2)

    def gradient(scale: bool, first_only: bool) -> torch.Tensor:
        run = SharedRun(peers, [part], scale)
        run.first_only = first_only
        sums = []
        with run.active():
            for peer in peers:
                run.next_peer()
                one, (two, none) = peer['pair'](images)
                assert none is None
                sums.append((one + two).sum())
        return torch.autograd.grad(sum(sums), shared.fc.weight)[0]

    plain = gradient(scale=False, first_only=False)
    torch.testing.assert_close(gradient(True, False), plain / 2)
    torch.testing.assert_close(gradient(False, True), plain / 2)


def test_gradient_of_the_trunk_is_the_sum_over_branches() -> None:
    model = no_transfer(3, shared=TRUNK).eval()
    batch = batch_for(model)
    names = dict(trunk=model.cohort[0].backbone.conv1)
    together = trunk_gradients(model, batch, names)['trunk']
    apart = []
    for peer in model.cohort.peers:
        model.zero_grad()
        total(peer(**batch, mode='loss')).backward()
        apart.append(names['trunk'].weight.grad.clone())
    assert not torch.equal(apart[0], apart[1])
    torch.testing.assert_close(together, sum(apart), rtol=1e-4, atol=1e-6)


def test_scaled_gradient_is_divided_by_the_branches() -> None:
    plain, scaled = unscaled_and_scaled(3, shared=TRUNK)
    assert plain['trunk'].abs().sum() > 0
    torch.testing.assert_close(scaled['trunk'], plain['trunk'] / 3)
    torch.testing.assert_close(scaled['middle'], plain['middle'] / 3)
    assert torch.equal(scaled['branch'], plain['branch'])


def test_scaled_gradient_of_a_tree() -> None:
    """Trunk: 1/4 of the plain sum; the two middle nodes: 1/2."""
    plain, scaled = unscaled_and_scaled(4, **TREE)
    torch.testing.assert_close(scaled['trunk'], plain['trunk'] / 4)
    torch.testing.assert_close(scaled['middle'], plain['middle'] / 2)
    assert torch.equal(scaled['branch'], plain['branch'])


def test_tree_shares_within_its_nodes() -> None:
    cohort = no_transfer(4, **TREE).cohort
    trunks = {id(peer.backbone.layer1) for peer in cohort.peers}
    middle = [id(peer.backbone.layer2) for peer in cohort.peers]
    assert len(trunks) == 1
    assert middle[0] == middle[1] != middle[2] == middle[3]
    assert len({id(peer.backbone.layer3) for peer in cohort.peers}) == 4


def assert_shared(model: Any) -> None:
    """Peers 0 and 1 hold the same tensors in the trunk, and train them."""
    first, second = (peer.backbone for peer in model.cohort.peers[:2])
    for name in ('conv1', 'bn1', 'layer1', 'layer2'):
        one, two = getattr(first, name), getattr(second, name)
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            assert a is b
        for a, b in zip(one.buffers(), two.buffers(), strict=True):
            assert a is b
    assert first.layer3 is not second.layer3
    before = int(first.bn1.num_batches_tracked)
    model.train()
    model(**batch_for(model), mode='loss')
    assert int(second.bn1.num_batches_tracked) == before + 1


def test_copies_keep_sharing() -> None:
    model = no_transfer(2, shared=TRUNK)
    clone = copy.deepcopy(model)
    assert clone.cohort[0].backbone.conv1 is not model.cohort[0].backbone.conv1
    assert_shared(clone)
    average = ExponentialMovingAverage(model).module
    assert_shared(average)
    assert_shared(model)


def test_moving_averages_follow_the_trunk_once() -> None:
    model = no_transfer(2, shared=TRUNK)
    average = ExponentialMovingAverage(model, momentum=0.5)
    weight = model.cohort[0].backbone.conv1.weight
    before = weight.detach().clone()
    average.update_parameters(model)  # the first one copies
    with torch.no_grad():
        weight.add_(1)
    average.update_parameters(model)
    found = average.module.cohort[1].backbone.conv1.weight
    torch.testing.assert_close(found, before + 0.5)


def test_parameter_wise_options_of_a_shared_cohort() -> None:
    """As the docstring says; every parameter once."""
    model = no_transfer(2, shared=TRUNK)
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='SGD', lr=0.1, weight_decay=0.1),
            paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
        ),
    )
    groups = wrapper.optimizer.param_groups
    held = [id(p) for group in groups for p in group['params']]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize('convert', [True, False])
def test_conversions_of_batch_norm_keep_sharing(convert: bool) -> None:
    """The conversion replaces a shared layer peer by peer."""
    model = no_transfer(2, shared=TRUNK)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model = convert_sync_batchnorm(model)
    norm = model.cohort[0].backbone.bn1
    assert type(norm) is nn.SyncBatchNorm
    assert norm is not model.cohort[1].backbone.bn1
    model.double().float()  # moves buffers one by one
    if convert:
        model = revert_sync_batchnorm(model)
    else:
        model.eval()  # SyncBN trains on GPUs alone
    with model.cohort.sharing.active():
        pass
    first, second = (peer.backbone for peer in model.cohort.peers)
    assert first.bn1 is second.bn1
    assert first.layer1 is second.layer1
    if convert:
        assert_shared(model)
    else:
        total(model(**batch_for(model), mode='loss')).backward()
        for key, value in state.items():
            assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize('training', [True, False])
def test_in_place_layers_behind_the_trunk_are_refused(training: bool) -> None:
    """Peer 0's ReLU would overwrite what peer 1 is to read."""
    model = build_cohort(
        exchange=None, cohort=dict(shared=['backbone.conv1', 'backbone.bn1'])
    ).train(training)
    batch = batch_for(model, training=training)
    words = r'backbone\.bn1, the last shared.*in place.*share that layer'
    with pytest.raises(RuntimeError, match=words):
        model(**batch, mode='loss' if training else 'predict')
    assert all('forward' not in vars(m) for m in model.modules())


class Counting(nn.Linear):
    """Counts its runs."""

    runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return super().forward(x)


class Twice(nn.Module):
    """Calls its trunk two times, as detectors call their heads."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.trunk = Counting(1, 1, bias=False)
        nn.init.constant_(self.trunk.weight, value)

    def forward(self, x: torch.Tensor) -> list[float]:
        return [self.trunk(x).item(), self.trunk(2 * x).item()]


def test_several_calls_of_a_module_are_kept_apart() -> None:
    cohort = Cohort([Twice(3.0), Twice(5.0)], shared=['trunk'])
    with cohort.sharing.active() as sharing:
        found = []
        for peer in cohort.peers:
            sharing.next_peer()
            found.append(peer(torch.ones(1, 1)))
    assert found == [[3.0, 6.0], [3.0, 6.0]]
    assert cohort[0].trunk.runs == 2


def test_trees() -> None:
    tree = [[0, 1], [2, 3]]
    assert leaves(tree) == [0, 1, 2, 3]
    assert nodes_by_level(tree) == [[tree], [[0, 1], [2, 3]]]
    with pytest.raises(ValueError, match='all peers must be at the same dep'):
        nodes_by_level([[0, 1], 2])
