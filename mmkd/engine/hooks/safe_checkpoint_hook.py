"""Checkpoints that no kill and no full disk can lose."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmkd.checkpoints.atomic import remove_partials, write_file
from mmkd.checkpoints.backend import NAME as HASHED_LOCAL
from mmkd.checkpoints.read import read_file
from mmkd.checkpoints.resume import MARKER, newest_whole, of_this_run
from mmkd.checkpoints.whole import SUFFIX, write_hashed
from mmkd.registry import HOOKS

_OUTDATED = 'outdated_best'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` that never loses the last good file.

    A checkpoint gets its name when it is complete and on the disk, with its
    SHA-256 beside it (``iter_100.pth.sha256``); only then older files are
    removed. Resuming without a path takes the newest file that is whole.
    The files, their names and all arguments are mmengine's; on remote
    storage (``out_dir='s3://…'``) only the order of the steps differs.

    The tools of mmkd put it in the place of mmengine's by themselves. For
    training with another ``train.py``:
    ``default_hooks=dict(checkpoint=dict(type='mmkd.SafeCheckpointHook'))``.
    """

    file_backend: Any
    _start = 0.0

    def before_run(self, runner: Runner) -> None:
        """Choose the file of a run that is to go on."""
        self.choose_resumed(runner)

    def choose_resumed(self, runner: Runner) -> None:
        """Let a runner with ``resume=True`` take the newest whole file.

        Raises:
            ValueError: there are checkpoints, but none is whole.
        """
        asked = getattr(runner, '_resume', False)
        if not asked or runner._load_from is not None:
            return
        folder = self._folder(runner)
        if self._writes_to_disk(folder):
            marker = Path(runner.work_dir) / MARKER
            found = newest_whole(folder, self.filename_tmpl, marker)
            runner._load_from = None if found is None else str(found)

    def before_train(self, runner: Runner) -> None:
        """Remove what earlier kills left; see the base class."""
        local = self._writes_to_disk(self.out_dir or runner.work_dir)
        self._start = time.time()
        if local:
            self.file_client_args = None
            self.backend_args = dict(backend=HASHED_LOCAL)
        super().before_train(runner)
        known = runner.message_hub.runtime_info
        last = Path(str(known.get('last_ckpt', ''))).name
        path = self.file_backend.join_path(self.out_dir, last)
        if last and self.file_backend.exists(path):
            self.last_ckpt = path  # a new best is noted in it, once resumed
        if is_main_process():
            self._remove_leftovers(runner, local)
        best = {Path(path).name for path in self._best_files()}
        for name in known.get(_OUTDATED, ()):
            if name not in best:
                self._remove(name)

    def _remove_leftovers(self, runner: Runner, local: bool) -> None:
        names = {f'*{Path(self.filename_tmpl).suffix}', '*.pth'}
        names |= {name + SUFFIX for name in names}
        found = remove_partials(runner.work_dir, MARKER)
        for name in names if local else ():
            found += remove_partials(self.out_dir, name)
        for path in found:
            runner.logger.info(f'{path}: left by a kill, removed')

    def resumable_files(self, runner: Runner) -> list[Path]:
        """Return the files on disk that this run may go on from.

        Those of this process, or all if it was resumed; newest first.
        """
        folder = self.out_dir or runner.work_dir
        if not self._writes_to_disk(folder):
            return []
        marker = Path(runner.work_dir) / MARKER
        found = of_this_run(Path(folder), self.filename_tmpl, marker)
        if getattr(runner, '_resume', False):
            return found
        return [p for p in found if p.stat().st_mtime >= self._start - 1]

    def _writes_to_disk(self, path: Any) -> bool:
        if self.file_client_args is not None:
            return self.file_client_args == dict(backend='disk')
        backend = get_file_backend(path, backend_args=self.backend_args)
        return isinstance(backend, LocalBackend)

    def _folder(self, runner: Runner) -> str:
        """Return where `before_train` of the base class puts the files."""
        if self.out_dir is None or str(self.out_dir) == runner.work_dir:
            return runner.work_dir
        name = os.path.basename(runner.work_dir.rstrip(os.sep))
        return os.path.join(self.out_dir, name)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        if isinstance(self.file_backend, _RemovesLater):
            names = self.file_backend.noted()  # as below
            runner.message_hub.update_info(_OUTDATED, names)
        kept: list[int] = list(getattr(self, 'keep_ckpt_ids', ()))
        if self.max_keep_ckpts > 0 and kept[-1:] != [step]:
            kept.append(step)
            # With those that are about to go: a run resumed from this file
            # removes them if a kill prevents it here.
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        with self._explained(runner, self.last_ckpt):
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                marker = Path(runner.work_dir) / MARKER
                write_file(marker, str(self.last_ckpt).encode())
        if self.max_keep_ckpts > 0:
            outdated = kept[: -self.max_keep_ckpts]
            kept = kept[-self.max_keep_ckpts :]
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
            for old in outdated:
                self._remove(self.filename_tmpl.format(old))

    def _remove(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # deepspeed
            self.file_backend.rmtree(path)

    def _save_best_checkpoint(
        self, runner: Runner, metrics: dict[str, Any]
    ) -> None:
        backend = self.file_backend
        later = _RemovesLater(backend)
        self.file_backend = later
        try:
            with self._explained(runner, 'of the best metric'):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        later.finish(keep=self._best_files())

    def _best_files(self) -> set[str]:
        files = getattr(self, 'best_ckpt_path_dict', None) or {
            '': getattr(self, 'best_ckpt_path', None)
        }
        return {str(path) for path in files.values() if path}

    @contextmanager
    def _explained(self, runner: Runner, path: Any) -> Iterator[None]:
        """Say in one line that a file could not be written."""
        try:
            yield
        except OSError as error:
            if isinstance(error, CheckpointWriteError):
                raise
            marker = Path(runner.work_dir) / MARKER
            last = marker.read_text().strip() if marker.is_file() else 'none'
            raise CheckpointWriteError(
                f'checkpoint {path} cannot be written: {error}. Complete '
                f'ones are kept, the last is {last}: make room and go on '
                'with --resume'
            ) from error

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        if not self._writes_to_disk(ckpt_path):
            super()._publish_model(runner, ckpt_path)
            return
        saved = read_file(ckpt_path)
        keys = self.published_keys or ()
        kept = {key: saved[key] for key in saved if key in keys}
        with io.BytesIO() as buffer:
            torch.save(kept, buffer)
            data = buffer.getvalue()
        start = hashlib.sha256(data).hexdigest()[:8]
        path = f'{os.path.splitext(ckpt_path)[0]}-{start}.pth'
        with self._explained(runner, path):
            write_hashed(path, data)
        runner.logger.info(
            f'The checkpoint ({ckpt_path}) is published to {path}, without '
            f'{sorted(set(saved) - set(kept))}.'
        )


class CheckpointWriteError(OSError):
    """A checkpoint cannot be written, e.g. the disk is full."""


class _RemovesLater:
    """A file backend that only notes what it is to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._files: list[str] = []
        self._folders: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: Any) -> None:
        self._files.append(str(path))

    def rmtree(self, path: Any) -> None:
        self._folders.append(str(path))

    def noted(self) -> list[str]:
        """Return the names of what is to be removed."""
        return [Path(path).name for path in self._files + self._folders]

    def finish(self, keep: set[str]) -> None:
        """Remove what was noted, but for ``keep``."""
        for path in self._files:
            if path not in keep and self._backend.isfile(path):
                self._backend.remove(path)
        for path in self._folders:
            if path not in keep:
                self._backend.rmtree(path)


def make_checkpoints_safe(runner: Runner) -> None:
    """Turn every ``CheckpointHook`` of ``runner`` into a safe one.

    Configs, and what is written of them, stay as they are. Hooks of derived
    classes keep what these add.
    """
    for hook in getattr(runner, 'hooks', ()):
        kind = type(hook)
        if isinstance(hook, CheckpointHook) and not isinstance(
            hook, SafeCheckpointHook
        ):
            hook.__class__ = (
                SafeCheckpointHook
                if kind is CheckpointHook
                else type(kind.__name__, (SafeCheckpointHook, kind), {})
            )


def saved_files(runner: Runner) -> list[Path]:
    """Return what a run may go on from; see `SafeCheckpointHook`."""
    return [
        path
        for hook in getattr(runner, 'hooks', ())
        if isinstance(hook, SafeCheckpointHook)
        for path in hook.resumable_files(runner)
    ]


def choose_resumed(runner: Runner) -> None:
    """Choose the file of a run that is to go on; see `SafeCheckpointHook`."""
    for hook in getattr(runner, 'hooks', ()):
        if isinstance(hook, SafeCheckpointHook):
            hook.choose_resumed(runner)
