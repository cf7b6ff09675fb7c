"""OKDHP in whole distillers: steps by hand, predictions, export, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmkd.checkpoints.export import export_deployed
from mmkd.checkpoints.read import read_checkpoint
from mmkd.models.backbones import MultiBranchHourglass
from mmkd.networks import build_network
from tests.references import okdhp as reference
from tests.support.float64 import in_float64
from tests.support.toy_cohort import batch_for, total
from tests.support.toy_hourglass import SIZE, build_okdhp, okdhp_config
from tests.support.toy_runner import Diary, Interruption, make_runner

UNBALANCED = dict(shared_stacks=1, individual_stacks=(1, 2, 3))


def pose_batch(model: Any, **options: Any) -> dict[str, Any]:
    return batch_for(model, 'pose', size=SIZE, **options)


def truth_of(batch: dict[str, Any], hide: bool = False) -> tuple[Any, Any]:
    """Return truth (B, J, H, W) and weights (B, J, 1)."""
    samples = batch['data_samples']
    for sample in samples if hide else ():
        sample.gt_instance_labels.keypoint_weights[:, ::3] = 0.0
        sample.gt_fields.heatmaps = sample.gt_fields.heatmaps.double()
    weights = [s.gt_instance_labels.keypoint_weights for s in samples]
    truth = torch.stack([s.gt_fields.heatmaps for s in samples])
    return truth, torch.cat(weights)[..., None].to(truth.dtype)


def plain_module(model: Any, shared: int) -> MultiBranchHourglass:
    """The published network with the parts of a cohort of one level."""
    backbones = [peer.backbone for peer in model.cohort.peers]
    counts = [len(b.stacks) - shared for b in backbones]
    first = backbones[0]
    joints = first.stacks[0].score.out_channels
    twin = MultiBranchHourglass(8, joints, shared, counts, depth=2)
    twin.stem = first.stem
    twin.shared = first.stacks[:shared]
    for index, backbone in enumerate(backbones):
        twin.branches[index] = backbone.stacks[shared:]
    return twin


@pytest.mark.parametrize(
    ('cohort', 'exchange'),
    [
        (dict(), dict()),
        (UNBALANCED, dict(ens_weight=0.5, loss_weight=3.0)),
        (dict(shared_stacks=0), dict(aggregation=dict(variant='concat'))),
        (
            dict(shared_stacks=1, individual_stacks=(2, 2)),
            dict(ensemble_maps='tail'),
        ),
    ],
)
def test_losses_and_gradients_equal_those_by_hand(
    cohort: Any, exchange: Any
) -> None:
    model = in_float64(build_okdhp(cohort=cohort, exchange=exchange)).train()
    batch = pose_batch(model, num=3)
    truth, weight = truth_of(batch, hide=True)
    losses = model(**batch, mode='loss')
    twin = plain_module(model, cohort.get('shared_stacks', 1))
    maps = twin(batch['inputs'])
    unit = model.exchanges[0].aggregation
    expected = reference.objective(
        maps['shared'],
        maps['branches'],
        unit.attention(maps['stem']),
        truth,
        weight,
        ens_weight=exchange.get('ens_weight', 1.0),
        kd_weight=exchange.get('loss_weight', 2.0),
        tail='ensemble_maps' in exchange,
    )
    sums = {
        end: sum(v for k, v in losses.items() if k.endswith(end))
        for end in ('loss_kpt', 'loss_task', 'loss_kd')
    }
    torch.testing.assert_close(sums['loss_kpt'], expected['hard'])
    torch.testing.assert_close(sums['loss_task'], expected['ens'])
    torch.testing.assert_close(sums['loss_kd'], expected['soft'])
    parameters = list(model.parameters())
    assert len(parameters) == len([*twin.parameters(), *unit.parameters()])
    found = torch.autograd.grad(total(losses), parameters)
    wanted = torch.autograd.grad(expected['total'], parameters)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-10)


def test_a_tree_shares_in_pairs_and_counts_once() -> None:
    tree = dict(
        shared_stacks=(1, 1),
        individual_stacks=(1, 1, 1, 2),
        tree=[[0, 1], [2, 3]],
    )
    model = build_okdhp(cohort=tree).train()
    stacks = [peer.backbone.stacks for peer in model.cohort.peers]
    assert [len(s) for s in stacks] == [3, 3, 3, 4]
    assert all(s[0] is stacks[0][0] for s in stacks)
    assert stacks[1][1] is stacks[0][1] and stacks[3][1] is stacks[2][1]
    assert stacks[2][1] is not stacks[0][1]
    batch = pose_batch(model)
    losses = model(**batch, mode='loss')
    truth, weight = truth_of(batch)
    seen = model.observe(**batch).tensors
    maps = [seen[f'peer{k}']['maps'] for k in range(4)]
    own = [maps[0], maps[1][2:], maps[2][1:], maps[3][2:]]
    for k, mine in enumerate(own):
        expected = sum(reference.mse(m, truth, weight) for m in mine)
        torch.testing.assert_close(losses[f'peer{k}.loss_kpt'], expected)


def test_weights_of_zero_leave_the_task() -> None:
    zero = dict(ens_weight=0.0, loss_weight=0.0)
    model = build_okdhp(exchange=zero).train()
    losses = model(**pose_batch(model), mode='loss')
    task = sum(v for k, v in losses.items() if k.endswith('loss_kpt'))
    torch.testing.assert_close(total(losses), task)
    total(losses).backward()
    unit = model.exchanges[0].aggregation
    for parameter in unit.parameters():
        assert parameter.grad is None or parameter.grad.abs().max() == 0


def test_nothing_is_visible() -> None:
    model = build_okdhp().train()
    batch = pose_batch(model)
    for sample in batch['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    losses = model(**batch, mode='loss')
    assert total(losses) == 0
    total(losses).backward()
    assert all(p.grad.abs().max() == 0 for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize('flip', [False, True])
def test_every_branch_and_the_ensemble_predict_in_one_pass(flip: bool) -> None:
    model = build_okdhp(cohort=UNBALANCED, deploy='aggregated').eval()
    for peer in model.cohort.peers:
        peer.test_cfg = dict(
            flip_test=flip, shift_heatmap=flip, output_heatmaps=True
        )
    batch = pose_batch(model, training=False)
    calls = []
    model.cohort[0].backbone.stem.register_forward_hook(
        lambda *_: calls.append(1)
    )
    found = model(**batch, mode='predict')
    names = ['peer0', 'peer1', 'peer2', 'aggregated', 'ensemble']
    assert list(found[0].peer_samples) == names
    kept = {
        name: torch.stack(
            [s.peer_samples[name].pred_fields.heatmaps for s in found]
        )
        for name in names
    }
    deployed = torch.stack([s.pred_fields.heatmaps for s in found])
    assert torch.equal(deployed, kept['aggregated'])
    for index, peer in enumerate(model.cohort.peers):
        samples = pose_batch(model, training=False)['data_samples']
        alone = peer(batch['inputs'], samples, mode='predict')
        maps = torch.stack([s.pred_fields.heatmaps for s in alone])
        assert torch.equal(maps, kept[f'peer{index}'])
    mean = sum(kept[f'peer{k}'] for k in range(3)) / 3
    torch.testing.assert_close(kept['ensemble'], mean)
    if not flip:
        seen = model.observe(**batch).tensors
        unit = model.exchanges[0].aggregation
        last = [seen[f'peer{k}']['maps'][-1] for k in range(3)]
        expected, attention = unit(seen['peer0']['feats'], last)
        torch.testing.assert_close(kept['aggregated'], expected)
        torch.testing.assert_close(
            expected, reference.ensemble(last, attention)
        )


def test_shared_parts_run_once() -> None:
    model = build_okdhp(cohort=UNBALANCED).train()
    batch = pose_batch(model)
    model(**batch, mode='loss')
    backbone = model.cohort[0].backbone
    for module in (backbone.stem.bn1, backbone.stacks[0].unit[2][1]):
        assert module.num_batches_tracked == 1


RUN = dict(cohort=UNBALANCED, exchange=dict(ramp_epochs=4), deploy='all')


def run(work_dir: Path, stop_after: int | None = None, **more: Any) -> Any:
    diary = Diary(stop_after)
    pipeline = [
        dict(type='mmkd.LoadScene'),
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip'),
        dict(type='TopdownAffine', input_size=SIZE),
        dict(
            type='GenerateTarget',
            encoder=okdhp_config()['cohort']['peer']['head']['decoder'],
        ),
        dict(
            type='PackPoseInputs',
            meta_keys=('sample_idx', 'img_shape', 'input_size', 'flip'),
        ),
    ]
    runner = make_runner(
        str(work_dir),
        okdhp_config(**RUN),
        'pose',
        steps=9,
        by_epoch=True,
        diary=diary,
        pipeline=pipeline,
        **more,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.mark.slow
def test_resumed_run_equals_straight_run_and_branches_are_plain(
    tmp_path: Path,
) -> None:
    straight, whole = run(tmp_path / 'a')
    run(tmp_path / 'b', stop_after=6)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(after.losses) == [6, 7, 8]
    for step in after.losses:
        assert after.losses[step] == whole.losses[step]
    ramps = [whole.losses[step]['ramp'] for step in (0, 3, 6)]
    assert ramps == pytest.approx([reference.ramp(k, 4) for k in range(3)])
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key

    config = Config(dict(default_scope='mmpose', model=okdhp_config(**RUN)))
    exported = export_deployed(
        config, tmp_path / 'a/epoch_3.pth', tmp_path / 'branch.pth', peer=2
    )
    assert exported
    with DefaultScope.overwrite_default_scope('mmpose'):
        plain = Config.fromfile(tmp_path / 'branch.py')
        assert plain.model.backbone.num_stacks == 4
        assert 'JudgedElsewhere' not in str(plain.model)
        network = build_network(plain.model)
    state = read_checkpoint(tmp_path / 'branch.pth')['state_dict']
    network.load_state_dict(state)
    images = torch.randn(2, 3, *SIZE)
    straight.model.eval()
    maps = straight.model.cohort[2].backbone(images)
    assert all(map(torch.equal, network.eval().backbone(images), maps))
    assert len(maps) == 4
    assert np.isfinite(maps[-1].detach().numpy()).all()
