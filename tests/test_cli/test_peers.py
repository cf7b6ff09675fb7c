"""One of several processes fails: one message, and nobody waits for it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import distributed

from mmkd.cli.errors import one_line_errors

WORLD = 3


def fail_by_user() -> None:
    raise FloatingPointError('loss_kd is nan')


def fail_by_program() -> None:
    raise RuntimeError('shapes do not fit')


def vanish() -> None:
    os._exit(9)


def child(rank: int, folder: Path, fail: Callable[[], None]) -> None:
    sys.stderr = (folder / f'stderr_{rank}').open('w')
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=WORLD,
    )
    with one_line_errors():
        for step in range(3):
            if step == 2 and rank == 1:
                fail()
            distributed.all_reduce(torch.ones(1000))


@pytest.mark.parametrize(
    ('fail', 'said'),
    [
        (fail_by_user, 'error [rank 1]: loss_kd is nan'),
        (fail_by_program, 'RuntimeError: shapes do not fit'),
        (vanish, None),
    ],
)
def test_the_others_end_in_silence(
    tmp_path: Path, fail: Callable[[], None], said: str | None
) -> None:
    fork = multiprocessing.get_context('fork')
    processes = [
        fork.Process(target=child, args=(rank, tmp_path, fail))
        for rank in range(WORLD)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    codes = [process.exitcode for process in processes]
    assert None not in codes and 0 not in codes, codes
    texts = [(tmp_path / f'stderr_{r}').read_text() for r in range(WORLD)]
    if said is not None:
        assert said in texts[1]
        assert texts[0] == texts[2] == ''
        return
    assert texts[1] == ''
    for rank in (0, 2):
        assert texts[rank].startswith(f'error [rank {rank}]: another process')
        assert len(texts[rank].splitlines()) == 1
