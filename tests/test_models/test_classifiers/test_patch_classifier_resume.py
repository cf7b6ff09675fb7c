"""A patch classifier's training, interrupted and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from tests.support.toy_runner import Diary, Interruption  # noqa: E402


class StackedDiary(Diary):
    """For batches that are stacked already."""

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        self.losses[runner.iter] = {
            key: float(value.detach()) for key, value in outputs.items()
        }
        self.images[runner.iter] = data_batch['inputs'].clone()


def run(
    folder: Path, proposal: str, frozen: bool, **kwargs: Any
) -> tuple[Runner, StackedDiary]:
    """Two epochs of three steps of the toy config, maybe a part of them."""
    diary = StackedDiary(kwargs.pop('stop_after', None))
    torch.manual_seed(len(str(folder)))  # left anywhere
    config = read_config('mmkd::anchornet/toy_patch.py')
    config.merge_from_dict(
        dict(
            work_dir=str(folder),
            train_dataloader=dict(
                batch_size=7,
                sampler=dict(
                    type='DefaultSampler',
                    shuffle=True,
                    _delete_=True,
                ),
                dataset=dict(num_samples=21),
            ),
            val_dataloader=dict(dataset=dict(num_samples=7)),
            model=dict(
                proposal=dict(checkpoint=proposal), freeze_proposal=frozen
            ),
            train_cfg=dict(max_epochs=2, val_interval=1),
            param_scheduler=dict(T_max=2),
            randomness=dict(seed=3),
            log_level='ERROR',
            experiment_name=f'{folder.name}{bool(kwargs)}{frozen}',
            **kwargs,
        )
    )
    runner = Runner.from_cfg(config)
    runner.register_hook(diary)
    if diary.stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.mark.slow
@pytest.mark.parametrize('frozen', [True, False], ids=['frozen', 'beside'])
def test_resumed_run_equals_straight_run(tmp_path: Path, frozen: bool) -> None:
    """Weights, momentum and statistics: bit for bit."""
    torch.manual_seed(0)
    proposal = str(tmp_path / 'proposal.pth')
    network = build_network('mmkd::anchornet/toy_proposal.py')
    torch.save(network.state_dict(), proposal)

    straight, whole = run(tmp_path / 'a', proposal, frozen)
    _, before = run(tmp_path / 'b', proposal, frozen, stop_after=4)
    resumed, after = run(tmp_path / 'b', proposal, frozen, resume=True)

    assert sorted(before.losses) == [0, 1, 2, 3]
    assert sorted(after.losses) == [3, 4, 5]
    assert before.losses | after.losses == whole.losses
    for step, images in (before.images | after.images).items():
        assert torch.equal(images, whole.images[step]), step
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key
    momenta = [
        [
            s['momentum_buffer']
            for s in r.optim_wrapper.optimizer.state.values()
        ]
        for r in (straight, resumed)
    ]
    for first, second in zip(*momenta, strict=True):
        assert torch.equal(first, second)
    start = torch.load(proposal)
    moved = [
        key
        for key, value in start.items()
        if not torch.equal(value, one[f'proposal.{key}'])
    ]
    assert bool(moved) is not frozen
