"""PCL in whole distillers: a step by hand, views, deployment, resuming."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.checkpoints.export import export_student
from tests.references import okd_baselines as reference
from tests.support.float64 import in_float64
from tests.support.toy_cohort import batch_for, build_cohort, cohort_config
from tests.support.toy_runner import Diary, Interruption, make_runner

PCL: dict[str, Any] = dict(
    peers=3,
    cohort=dict(shared=['stem', 'stage1', 'stage2']),
    exchange=dict(
        type='mmkd.PeerCollaborativeExchange',
        on=dict(feats='feats', logits='logits', mean='mean.logits'),
        ramp_epochs=0,
    ),
    followers=dict(mean=dict(momentum=0.999, warmup=True, buffers='own')),
    peer_views=[0, 1, 2],
    deploy=dict(peer=0, weights='mean'),
)


def views_for(model: Any, count: int = 4) -> tuple[list[Any], Any]:
    data = batch_for(model, num=count)
    images = data['inputs']
    dtype = next(model.parameters()).dtype
    views = [images, images.flip(-1), images.flip(-2)]
    return [view.to(dtype) for view in views], data['data_samples']


def step(model: Any, lr: float = 0.1) -> dict[str, torch.Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    views, samples = views_for(model)
    losses = model.train()(views, samples, mode='loss')
    total, logs = model.parse_losses(losses)
    total.backward()
    optimizer.step()
    model.after_step()
    return logs


def test_losses_equal_those_by_hand() -> None:
    """Mean peer j sees view j; its output teaches all others."""
    model = in_float64(build_cohort(**PCL)).train()
    step(model)  # mean peers that are not the peers
    step(model)
    peers, means = copy.deepcopy(
        [list(model.cohort.peers), list(model.followers['mean'].networks)]
    )
    views, samples = views_for(model)
    losses = model(views, samples, mode='loss')
    labels = torch.cat([sample.gt_label for sample in samples])
    feats, logits, targets = [], [], []
    for peer, mean, view in zip(peers, means, views, strict=True):
        feats.append(peer.extract_feat(view)[-1])
        logits.append(peer.head.fc(feats[-1]))
        with torch.no_grad():
            targets.append(mean.train()(view, mode='tensor'))
    fc = model.exchanges[0].ensemble.fc
    ensemble = fc(torch.cat(feats, 1))
    entropy = torch.nn.functional.cross_entropy
    expected = {'peer_ensemble.loss_task': entropy(ensemble, labels)}
    for i, z in enumerate(logits):
        expected[f'peer{i}.loss_task'] = entropy(z, labels)
        kd = reference.kd(z, ensemble.detach(), 3.0)
        for j in range(3):
            if j != i:
                kd = kd + reference.kd(z, targets[j], 3.0) / 2
        expected[f'peer{i}.loss_kd'] = kd
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-9, atol=1e-11)


def test_averages_start_as_copies_and_become_means() -> None:
    model = build_cohort(**PCL)
    seen = []
    for _ in range(3):
        step(model)
        seen.append(model.cohort[1].head.fc.weight.detach().clone())
        mean = torch.stack(seen).mean(0)
        followed = model.followers['mean'][1].head.fc.weight
        torch.testing.assert_close(followed, mean)
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    copies = list(model.followers.parameters())
    assert trained.isdisjoint(map(id, copies))
    assert all(p.grad is None for p in copies)


def test_a_shared_trunk_counts_every_view() -> None:
    model = build_cohort(**PCL)
    step(model)
    assert int(model.cohort[0].backbone.bn1.num_batches_tracked) == 3
    mean = model.followers['mean'][0].backbone
    assert int(mean.bn1.num_batches_tracked) == 3
    assert int(mean.layer4[0].bn1.num_batches_tracked) == 1
    own = model.cohort[0].backbone.bn1.running_mean
    torch.testing.assert_close(mean.bn1.running_mean, own)
    step(model)  # the averages are copies yet
    step(model)
    assert not torch.equal(mean.bn1.running_mean, own)


def test_equal_branches_on_equal_views_stay_equal() -> None:
    model = build_cohort(**PCL)
    state = model.cohort[0].state_dict()
    for peer in model.cohort.peers:
        peer.load_state_dict(state)
    model.followers['mean'].start()
    fc = model.exchanges[0].ensemble.fc
    fc.weight.data = fc.weight.data[:, :32].repeat(1, 3)
    views, samples = views_for(model)
    model.train()
    losses = model([views[0].clone() for _ in range(3)], samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    first, *others = (peer.backbone.layer4 for peer in model.cohort.peers)
    for other in others:
        for p, q in zip(first.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize('views', [1, 2])
def test_fewer_views_than_peers(views: int) -> None:
    model = build_cohort(**PCL)
    given, samples = views_for(model)
    inputs = given[0] if views == 1 else given[:views]
    words = (
        rf'gives {views} view\(s\) of each image, but model.peer_views='
        r'\[0, 1, 2\] names view 2: set num_views=3 in the data preproc'
    )
    with pytest.raises(ValueError, match=words):
        model(inputs, samples, mode='loss')


def test_a_follower_of_a_view_that_is_not_there() -> None:
    changes = dict(PCL, peer_views=None)
    changes['followers'] = dict(mean=dict(momentum=0.9, view=1))
    model = build_cohort(**changes)
    given, samples = views_for(model)
    with pytest.raises(ValueError, match=r'followers.mean.view names view 1'):
        model(given[0], samples, mode='loss')
    seen = model.eval().observe(given[0], samples)  # evaluation: one image
    assert seen.tensors['peer0.mean']['logits'].shape == (4, 7)


def test_evaluated_and_exported(tmp_path: Path) -> None:
    model = build_cohort(**PCL)
    step(model)
    step(model)
    data = batch_for(model, training=False)
    (sample, *_) = model.eval()(**data, mode='predict')
    assert {'peer2', 'peer2.mean', 'peer_ensemble'} < set(sample.peer_samples)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'run.pth')
    for name, deploy, expected in (
        ('mean', dict(peer=0, weights='mean'), model.followers['mean'][0]),
        ('own', 0, model.cohort[0]),
    ):
        config = Config(
            dict(
                model=cohort_config(**dict(PCL, deploy=deploy)),
                default_scope='mmpretrain',
            )
        )
        out = tmp_path / f'{name}.pth'
        export_student(
            config, tmp_path / 'run.pth', out, input_shape=(3, 32, 32)
        )
        written = torch.load(out)['state_dict']
        for key, value in expected.state_dict().items():
            assert torch.equal(written[key], value), key


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    """Averages, their statistics and their counter: bit for bit."""
    config = cohort_config(**dict(PCL, deploy=0))
    config['data_preprocessor'] = dict(
        type='mmkd.BatchAugmentPreprocessor', num_views=3, num_classes=7
    )

    def run(name: str, stop: int | None = None, **options: Any) -> Any:
        runner = make_runner(
            str(tmp_path / name),
            config,
            'classification',
            steps=4,
            save_every=2,
            diary=Diary(stop),
            **options,
        )
        if stop is None:
            runner.train()
        else:
            with pytest.raises(Interruption):
                runner.train()
        return runner.model.state_dict()

    straight = run('straight')
    run('broken', 2)
    resumed = run('broken', resume=True)
    assert int(straight['followers.mean.steps']) == 4
    for key, value in straight.items():
        assert torch.equal(value, resumed[key]), key
