from __future__ import annotations

import json
from pathlib import Path

import pytest
from mmengine.config import Config

pytest.importorskip('mmpretrain')
from mmkd.results.seeds import SeedRuns, newest, scored_run  # noqa: E402
from mmkd.toys import toy_classifier, toy_dataset  # noqa: E402

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def staged(folder: Path) -> Path:
    """Write a config whose training starts from that of a first phase."""
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 8, size=(32, 32)),
    )
    judge = dict(type='Accuracy', topk=(1,))
    saves = dict(type='CheckpointHook', interval=1, save_best='accuracy/top1')
    one = dict(
        default_scope='mmpretrain',
        model=toy_classifier(width=4),
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=judge,
        test_evaluator=judge,
        val_cfg=dict(),
        test_cfg=dict(),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1), checkpoint=saves
        ),
    )
    Config(one).dump(folder / 'first.py')
    stages = [
        dict(name='init', config='first.py'),
        dict(
            name='train',
            load_from='stage:init',
            train_cfg=dict(max_epochs=2),
        ),
        dict(name='plain', run='export', of='train'),
    ]
    path = folder / 'staged.py'
    Config(dict(one, load_from='nowhere.pth', stages=stages)).dump(path)
    return path


def test_the_last_training_counts(tmp_path: Path) -> None:
    config = staged(tmp_path)
    run = tmp_path / 'run'
    assert scored_run(config, run) == (run / 'train/train.py', run / 'train')
    plain = tmp_path / 'first.py'
    assert scored_run(plain, run) == (plain, run)


@pytest.mark.slow
def test_each_seed_has_its_own_first_phase(tmp_path: Path) -> None:
    config = staged(tmp_path)
    told: list[str] = []
    runs = SeedRuns(
        TOOLS, tmp_path / 'logs', tmp_path / 'runs', 'accuracy/top1',
        report=told.append,
    )  # fmt: skip
    runs.run_all([config], [0, 1])
    starts = []
    for seed in (0, 1):
        folder = tmp_path / f'runs/staged/seed{seed}'
        written = Config.fromfile(folder / 'train/train.py')
        assert written.load_from == str(folder / 'init/epoch_1.pth')
        assert written.randomness.seed == seed
        log = tmp_path / f'logs/staged/seed{seed}.jsonl'
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        losses = [line['loss'] for line in lines if 'loss' in line]
        assert len(losses) == 4  # two epochs of two steps, no first phase
        starts.append(losses[0])
        assert lines[-1]['seed'] == seed and not lines[-1]['resumed']
        assert lines[-2]['test'] == 'best' and lines[-3]['step'] == 2
    assert starts[0] != starts[1]
    runs.run_all([config], [0, 1])
    assert len(told) == 2 and 'not run again' in told[0]


def test_best_checkpoint_of_a_pruned_run(tmp_path: Path) -> None:
    path = tmp_path / 'best_pruned_accuracy_top1_epoch_9.pth'
    path.touch()
    patterns = ('best_accuracy_top1_*', 'best_pruned_accuracy_top1_*')
    assert newest(tmp_path, *patterns) == path
    with pytest.raises(FileNotFoundError, match='no file best_mIoU_'):
        newest(tmp_path, 'best_mIoU_*')
