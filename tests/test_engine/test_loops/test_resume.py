"""Interrupted and resumed: the same numbers, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmkd.networks import build_network
from mmkd.toys import toy_segmentor
from tests.support.toy_runner import (
    Diary,
    Interruption,
    augmenting_pipeline,
    make_runner,
)

MEMORY = dict(
    type='mmkd.PixelRegionMemoryLoss',
    on='feats',
    num_classes=8,
    student_channels=8,
    teacher_channels=16,
    pixel_memory_size=100,
    region_memory_size=10,
    pixel_contrast_size=128,
    region_contrast_size=32,
)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """CIRKD with dropout in the student's head."""
    path = str(tmp_path_factory.mktemp('teacher') / 't.pth')
    torch.manual_seed(5)
    torch.save(build_network(toy_segmentor(8)).state_dict(), path)
    return dict(
        type='mmkd.OfflineDistiller',
        student=toy_segmentor(4),
        teacher=dict(config=toy_segmentor(8), checkpoint=path),
        taps=dict(
            feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
        ),
        losses=dict(
            kd=dict(type='mmkd.KLDivLoss', on='logits'),
            minibatch=dict(type='mmkd.MiniBatchPixelRelationLoss', on='feats'),
            memory=MEMORY,
        ),
        dry_run=False,
    )


def train(work_dir: Path, model: Any, **kwargs: Any) -> tuple[Any, Diary]:
    """Run in a process whose generators were left anywhere."""
    diary = Diary(kwargs.pop('stop_after', None))
    seed = random.SystemRandom().randrange(10**6)
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    kwargs.setdefault('pipeline', augmenting_pipeline())
    runner = make_runner(str(work_dir), model, diary=diary, **kwargs)
    if diary.stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


def assert_equal(a: Any, b: Any, name: str = '') -> None:
    """Compare nested states exactly."""
    assert type(a) is type(b), name
    if isinstance(a, dict):
        assert a.keys() == b.keys(), name
        for key in a:
            assert_equal(a[key], b[key], f'{name}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), name
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_equal(*pair, f'{name}[{index}]')
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), name
    else:
        assert a == b, name


def states(runner: Any) -> dict[str, Any]:
    return dict(
        model=dict(runner.model.state_dict()),
        optimizer=runner.optim_wrapper.state_dict(),
        schedulers=[s.state_dict() for s in runner.param_schedulers],
        iteration=runner.iter,
    )


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [False, True], ids=['iters', 'epochs'])
def test_resumed_run_equals_straight_run(
    tmp_path: Path, model: Any, by_epoch: bool
) -> None:
    kwargs: dict[str, Any] = dict(
        by_epoch=by_epoch, val_interval=1 if by_epoch else 2
    )
    straight, whole = train(tmp_path / 'a', model, **kwargs)
    _, before = train(tmp_path / 'b', model, stop_after=3, **kwargs)
    resumed, after = train(tmp_path / 'b', model, resume=True, **kwargs)

    assert sorted(before.losses) == [0, 1, 2]
    assert sorted(after.losses) == [3, 4, 5]
    assert before.losses | after.losses == whole.losses
    assert before.samples | after.samples == whole.samples
    for step, images in (before.images | after.images).items():
        assert torch.equal(images, whole.images[step]), step
    assert_equal(states(resumed), states(straight))
    memory = straight.model.losses['memory']
    assert memory.pixel_ptr.sum() > 0
    assert len({float(v['loss']) for v in whole.losses.values()}) == 6
    assert len({tuple(v) for v in whole.samples.values()}) > 1


def test_validation_changes_nothing(tmp_path: Path, model: Any) -> None:
    with_val, one = train(tmp_path / 'a', model, val_interval=2)
    without, two = train(tmp_path / 'b', model)
    assert one.losses == two.losses
    assert_equal(states(with_val), states(without))


def test_stock_loop_sees_the_same_samples(tmp_path: Path, model: Any) -> None:
    """Augmented otherwise, but of the same order."""
    _, one = train(tmp_path / 'a', model)
    _, two = train(tmp_path / 'b', model, loop='IterBasedTrainLoop')
    assert one.samples == two.samples


def test_skipped_samples_are_not_loaded(tmp_path: Path, model: Any) -> None:
    train(tmp_path / 'a', model, stop_after=3)
    diary = Diary()
    runner = make_runner(str(tmp_path / 'a'), model, diary=diary, resume=True)
    loop = runner.train_loop
    loaded: list[int] = []
    prepare = loop.dataloader.dataset.prepare_data

    def watch(index: int) -> Any:
        loaded.append(index)
        return prepare(index)

    loop.dataloader.dataset.prepare_data = watch
    runner.train()
    assert loaded == sum((diary.samples[step] for step in (3, 4, 5)), [])


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [False, True], ids=['iters', 'epochs'])
def test_workers_change_nothing(
    tmp_path: Path, model: Any, by_epoch: bool
) -> None:
    """Whoever makes a sample: the main process, or one of two workers."""
    kwargs: dict[str, Any] = dict(by_epoch=by_epoch)
    straight, whole = train(tmp_path / 'a', model, **kwargs)
    kwargs.update(num_workers=2)
    _, before = train(tmp_path / 'b', model, stop_after=4, **kwargs)
    resumed, after = train(tmp_path / 'b', model, resume=True, **kwargs)
    assert before.losses | after.losses == whole.losses
    for step, images in (before.images | after.images).items():
        assert torch.equal(images, whole.images[step]), step
    assert_equal(states(resumed), states(straight))


@pytest.mark.slow
def test_finite_sampler_in_a_loop_of_iterations(
    tmp_path: Path, model: Any
) -> None:
    """Interrupted in the second of its passes."""
    sampler = dict(type='DefaultSampler', shuffle=True)

    def loader() -> dict[str, Any]:
        from mmkd.toys import toy_dataset

        return dict(
            batch_size=2,
            num_workers=0,
            sampler=sampler,
            dataset=toy_dataset('segmentation', num_samples=6),
        )

    kwargs: dict[str, Any] = dict(save_every=4)
    _, whole = train(tmp_path / 'a', model, train_dataloader=loader())
    train(
        tmp_path / 'b',
        model,
        stop_after=5,
        train_dataloader=loader(),
        **kwargs,
    )
    _, after = train(
        tmp_path / 'b', model, resume=True, train_dataloader=loader(), **kwargs
    )
    assert after.samples == {k: whole.samples[k] for k in (4, 5)}
    assert after.losses == {k: whole.losses[k] for k in (4, 5)}
    assert sorted(sum((whole.samples[k] for k in range(3)), [])) == [*range(6)]


def test_two_seeds_are_two_trainings(tmp_path: Path, model: Any) -> None:
    _, one = train(tmp_path / 'a', model, steps=2)
    other = dict(randomness=dict(seed=1))
    _, two = train(tmp_path / 'b', model, steps=2, **other)
    assert one.losses != two.losses


def test_stopped_run_leaves_a_readable_checkpoint(
    tmp_path: Path, model: Any
) -> None:
    """A non-finite loss after the checkpoint of step 3."""
    from mmengine.hooks import Hook

    from mmkd.checkpoints.read import read_checkpoint

    class Spoil(Hook):
        def before_train_iter(
            self, runner: Any, batch_idx: int, data_batch: Any = None
        ) -> None:
            if runner.iter == 4:
                with torch.no_grad():
                    weight = runner.model.student.decode_head.conv_seg.weight
                    weight[0, 0] = float('nan')

    with pytest.raises(FloatingPointError, match='loss_ce is nan'):
        train(tmp_path, model, hooks=[Spoil()])
    data = read_checkpoint(tmp_path / 'iter_3.pth')
    assert data['meta']['iter'] == 3
    assert all(v.isfinite().all() for v in data['state_dict'].values())
    _, after = train(tmp_path, model, resume=True)
    assert sorted(after.losses) == [3, 4, 5]
