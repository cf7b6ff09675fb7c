"""Killed and cut-off saves, and runs that go on after them."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.whole import damage
from mmkd.engine.hooks import SafeCheckpointHook
from mmkd.engine.hooks.safe_checkpoint_hook import (
    choose_resumed,
    make_checkpoints_safe,
)
from mmkd.toys import toy_segmentor
from tests.support.killing import killed_at
from tests.support.toy_runner import Diary, Interruption, make_runner

STEPS = 4


def runner_in(folder: Path, **changes: Any) -> Runner:
    """A run that saves every step, keeps one file and the best one."""
    hook = dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=1,
        max_keep_ckpts=1,
        save_best='mIoU',
    )
    hook.update(changes.pop('checkpoint', {}))
    torch.manual_seed(0)
    runner = make_runner(
        str(folder),
        toy_segmentor(4),
        steps=changes.pop('steps', STEPS),
        val_interval=2,
        num_samples=4,
        default_hooks=dict(checkpoint=hook),
        **changes,
    )
    make_checkpoints_safe(runner)
    return runner


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def final(folder: Path) -> dict[str, Any]:
    return read_checkpoint(folder / f'iter_{STEPS}.pth')


@pytest.fixture(autouse=True, scope='module')
def _quick_dumps() -> Iterator[None]:
    """Runs write their config several times; making it pretty is slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'mmengine.config.config.FormatCode',
            lambda text, **kwargs: (text, False),
        )
        yield


@pytest.fixture(scope='module')
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp('straight')
    runner_in(folder).train()
    return folder


def assert_equal_runs(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one['state_dict'].keys() == two['state_dict'].keys()
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key
    momenta = [file['optimizer']['state'] for file in (one, two)]
    for key, state in momenta[0].items():
        buffer = state['momentum_buffer']
        assert torch.equal(buffer, momenta[1][key]['momentum_buffer'])
    assert one['param_schedulers'] == two['param_schedulers']


def test_files_of_a_run(straight: Path) -> None:
    found = [name for name in names(straight) if not name.endswith('.py')]
    best = next(name for name in found if name.startswith('best_mIoU'))
    wanted = {best, f'iter_{STEPS}.pth'}
    wanted |= {f'{name}.sha256' for name in wanted} | {'last_checkpoint'}
    assert set(found) == wanted
    for name in found:
        assert damage(straight / name) is None
    marked = (straight / 'last_checkpoint').read_text()
    assert marked == str(straight / f'iter_{STEPS}.pth')


def kill_and_resume(folder: Path, call: int, straight: Path) -> bool:
    """Kill a run, resume it, compare it with one that was not stopped."""
    died = killed_at(call, lambda: runner_in(folder).train())
    if died:
        for path in folder.glob('*.pth'):
            assert damage(path) is None
            read_checkpoint(path)
        runner_in(folder, resume=True).train()
        regular = [path.name for path in folder.glob('iter_*.pth')]
        assert regular == [f'iter_{STEPS}.pth']
        assert not list(folder.glob('*.partial'))
    assert_equal_runs(final(folder), final(straight))
    return died


@pytest.mark.parametrize('call', [9, 41])
def test_killed_run_resumes_exactly(
    tmp_path: Path, straight: Path, call: int
) -> None:
    assert kill_and_resume(tmp_path, call, straight)


@pytest.mark.slow
def test_killed_anywhere_it_resumes_exactly(
    tmp_path: Path, straight: Path
) -> None:
    """At each system call of a whole run."""
    call = 1
    while kill_and_resume(tmp_path / str(call), call, straight):
        call += 1
    assert call > 50


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path, straight: Path) -> None:
    kills = 0
    while killed_at(13, runner_in(tmp_path, resume=True).train):
        kills += 1
        assert kills < 20
    assert kills >= 3
    assert_equal_runs(final(tmp_path), final(straight))


def test_nothing_good_is_removed_before_the_new_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []
    unlink = Path.unlink

    def watch(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == '.pth':
            others = {p.name for p in path.parent.glob('*.pth')} - {path.name}
            kind = path.name.partition('_')[0]
            removed.append((path.name, {n for n in others if kind in n}))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, 'unlink', watch)
    values = iter([10.0, 20.0])
    monkeypatch.setattr(
        'mmseg.evaluation.IoUMetric.compute_metrics',
        lambda *args: dict(mIoU=next(values)),
    )
    runner_in(tmp_path).train()
    assert 'best_mIoU_iter_2.pth' in dict(removed)
    assert [name for name, _ in removed if name.startswith('iter')] == [
        f'iter_{step}.pth' for step in range(1, STEPS)
    ]
    for name, others in removed:
        assert others, name


@pytest.mark.parametrize('improves', [True, False])
def test_best_file_is_replaced_by_the_better_one_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, improves: bool
) -> None:
    values = iter([10.0, 20.0 if improves else 5.0])
    monkeypatch.setattr(
        'mmseg.evaluation.IoUMetric.compute_metrics',
        lambda *args: dict(mIoU=next(values)),
    )
    runner_in(tmp_path).train()
    best = f'best_mIoU_iter_{STEPS if improves else 2}.pth'
    found = [n for n in names(tmp_path) if n.startswith('best')]
    assert found == [best, f'{best}.sha256']
    hub = final(tmp_path)['message_hub']['runtime_info']
    assert Path(hub['best_ckpt']).name == best


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A disk on which ``room['files']`` files more have room."""
    room = dict(files=0)
    fsync = os.fsync

    def fsync_if_room(descriptor: int) -> None:
        if os.path.isfile(f'/proc/self/fd/{descriptor}'):
            room['files'] -= 1
            if room['files'] < 0:
                raise OSError(errno.ENOSPC, 'No space left on device')
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', fsync_if_room)
    return room


@pytest.mark.slow
@pytest.mark.parametrize(
    'files',
    [4, 6, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 2, 3))],
)
def test_full_disk(
    tmp_path: Path, full_disk: dict[str, int], files: int, straight: Path
) -> None:
    """Each save writes a checkpoint, its hash and the mark."""
    full_disk['files'] = files
    last = 'none' if files < 3 else f'iter_{files // 3}.pth'
    with pytest.raises(OSError, match=rf'No space left.*{last}: make'):
        runner_in(tmp_path).train()
    assert not list(tmp_path.glob('*.partial'))
    for path in tmp_path.glob('*.pth'):
        assert damage(path) is None
        read_checkpoint(path)
    full_disk['files'] = 1000
    runner_in(tmp_path, resume=True).train()
    assert_equal_runs(final(tmp_path), final(straight))


@pytest.fixture(scope='module')
def three_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that stopped with checkpoints 1 to 3."""
    folder = tmp_path_factory.mktemp('stopped')
    keep = dict(max_keep_ckpts=3)
    with pytest.raises(Interruption):
        runner_in(folder, checkpoint=keep, diary=Diary(3)).train()
    return folder


@pytest.fixture
def stopped(tmp_path: Path, three_files: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(three_files, tmp_path / 'stopped'))


@pytest.mark.parametrize(
    ('harm', 'reason'),
    [
        ('flip', 'does not match iter_3.pth.sha256'),
        ('cut', 'does not match iter_3.pth.sha256'),
        ('empty', 'is no checkpoint'),
        ('flip without hash', r'record \S+ is damaged'),
        ('cut without hash', 'cut off'),
    ],
)
def test_damaged_newest_file_is_skipped(
    stopped: Path,
    straight: Path,
    capsys: pytest.CaptureFixture,
    harm: str,
    reason: str,
) -> None:
    newest = stopped / 'iter_3.pth'
    content = bytearray(newest.read_bytes())
    kind, _, no_hash = harm.partition(' ')
    if kind == 'flip':
        content[len(content) // 2] ^= 1
    else:
        del content[0 if kind == 'empty' else len(content) // 2 :]
    newest.write_bytes(content)
    if no_hash:
        (stopped / 'iter_3.pth.sha256').unlink()
    runner = runner_in(stopped, resume=True, log_level='WARNING')
    capsys.readouterr()
    choose_resumed(runner)
    assert runner._load_from == str(stopped / 'iter_2.pth')
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if '--resume skips' in line]
    assert len(lines) == 1
    assert 'iter_3.pth' in lines[0]
    assert re.search(reason, lines[0])
    if harm == 'flip':
        runner.train()
        assert_equal_runs(final(stopped), final(straight))


def test_a_path_that_is_asked_for_is_taken_or_refused(stopped: Path) -> None:
    wanted = stopped / 'iter_2.pth'
    runner = runner_in(stopped, resume=True, load_from=str(wanted))
    choose_resumed(runner)
    assert runner._load_from == str(wanted)


def test_no_whole_file_is_an_error(stopped: Path) -> None:
    for path in stopped.glob('iter_*.pth'):
        path.write_bytes(path.read_bytes()[:100])
    runner = runner_in(stopped, resume=True)
    with pytest.raises(ValueError, match='none of the 3 checkpoints in'):
        runner.train()


def test_no_file_yet_is_a_start(tmp_path: Path, straight: Path) -> None:
    runner_in(tmp_path, resume=True).train()
    assert_equal_runs(final(tmp_path), final(straight))


def test_moved_folder_resumes(
    stopped: Path, three_files: Path, straight: Path
) -> None:
    """``last_checkpoint`` has the old path."""
    assert str(three_files) in (stopped / 'last_checkpoint').read_text()
    runner = runner_in(stopped, resume=True)
    choose_resumed(runner)
    assert runner._load_from == str(stopped / 'iter_3.pth')
    runner.train()
    assert_equal_runs(final(stopped), final(straight))


def test_files_of_an_earlier_run_are_not_this_run(stopped: Path) -> None:
    other = stopped / 'iter_9.pth'
    shutil.copy(stopped / 'iter_3.pth', other)
    os.utime(other, (1, 1))
    runner = runner_in(stopped, resume=True)
    choose_resumed(runner)
    assert runner._load_from == str(stopped / 'iter_3.pth')


def test_newer_file_than_the_mark_counts(stopped: Path) -> None:
    """A kill came between the two."""
    (stopped / 'last_checkpoint').write_text('old/iter_2.pth')
    os.utime(stopped / 'last_checkpoint', (1, 1))
    runner = runner_in(stopped, resume=True)
    choose_resumed(runner)
    assert runner._load_from == str(stopped / 'iter_3.pth')


@pytest.mark.parametrize('mark', ['', 'nonsense', None])
def test_damaged_mark(stopped: Path, mark: str | None) -> None:
    path = stopped / 'last_checkpoint'
    path.unlink()
    if mark is not None:
        path.write_text(mark)
    runner = runner_in(stopped, resume=True)
    choose_resumed(runner)
    assert runner._load_from == str(stopped / 'iter_3.pth')


def test_folder_of_its_own_and_published_files(tmp_path: Path) -> None:
    """``out_dir`` and ``published_keys`` of mmengine's hook."""
    hook = dict(
        out_dir=str(tmp_path / 'out'),
        published_keys=['meta', 'state_dict'],
        file_client_args=dict(backend='disk'),
    )
    runner_in(tmp_path / 'run', checkpoint=hook, steps=3).train()
    folder = tmp_path / 'out' / 'run'
    published = list(folder.glob('iter_3-????????.pth'))
    assert len(published) == 1
    digest = Path(f'{published[0]}.sha256').read_text()
    assert digest.startswith(published[0].stem[-8:])
    assert read_checkpoint(published[0]).keys() == {'meta', 'state_dict'}
    assert damage(folder / 'iter_3.pth') is None
    runner = runner_in(tmp_path / 'run', checkpoint=hook, resume=True)
    choose_resumed(runner)
    assert runner._load_from == str(folder / 'iter_3.pth')


class Counting(CheckpointHook):
    """A hook of somebody else, derived from mmengine's."""

    saved = 0

    def _save_checkpoint(self, runner: Runner) -> None:
        self.saved += 1
        super()._save_checkpoint(runner)


def test_derived_hooks_become_safe(tmp_path: Path) -> None:
    runner = runner_in(tmp_path, checkpoint=dict(type=Counting), steps=2)
    hook = next(h for h in runner.hooks if isinstance(h, CheckpointHook))
    assert isinstance(hook, SafeCheckpointHook)
    assert isinstance(hook, Counting)
    make_checkpoints_safe(runner)  # a second time changes nothing
    assert type(hook).__mro__.count(SafeCheckpointHook) == 1
    runner.train()
    assert hook.saved == 2
    assert damage(tmp_path / 'iter_2.pth') is None
    assert (tmp_path / 'iter_2.pth.sha256').is_file()


def test_by_name_for_other_train_scripts(tmp_path: Path) -> None:
    kind = dict(type='mmkd.SafeCheckpointHook')
    runner = runner_in(tmp_path, checkpoint=kind, steps=2)
    assert sum(type(h) is SafeCheckpointHook for h in runner.hooks) == 1
    runner.train()
    assert (tmp_path / 'iter_2.pth.sha256').is_file()


def test_leftovers_are_removed_at_the_start(tmp_path: Path) -> None:
    left = ['iter_7.pth.partial', 'iter_7.pth.sha256.partial']
    for name in [*left, 'last_checkpoint.partial', 'mine.partial']:
        (tmp_path / name).touch()
    runner = runner_in(tmp_path, steps=1)
    for hook in runner.hooks:
        if isinstance(hook, SafeCheckpointHook):
            hook.before_train(runner)
    assert [p.name for p in tmp_path.glob('*.partial')] == ['mine.partial']
