"""A bad batch of one process: all processes leave out the step."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel

pytest.importorskip('mmpretrain')
from benchmarks.trust.toys import (  # noqa: E402
    forgotten_globals,
    part_of,
    toy_run,
)
from mmkd.engine.hooks import FiniteGradientHook  # noqa: E402
from mmkd.models.distillers.phases import (  # noqa: E402
    PhasedDistributedDataParallel,
)
from tests.support.ranks import on_ranks, prepared  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('name', ['DML', 'AFD'])
def test_processes_agree(tmp_path: Path, name: str) -> None:
    with forgotten_globals():
        toy = toy_run(name, tmp_path / 'toy', 4, 2)
        batches = prepared(toy, double=False)

        def steps(numbers: tuple[int, ...]) -> Any:
            def take(rank: int, world: int) -> Any:
                kind: Any = (
                    PhasedDistributedDataParallel
                    if name == 'AFD'
                    else MMDistributedDataParallel
                )
                runner = toy.runner
                runner.model = kind(toy.model, broadcast_buffers=False)
                FiniteGradientHook(max_left_out=1).before_train(runner)
                runner.model.train()
                for number in numbers:
                    data = copy.deepcopy(
                        part_of(batches[number], 2 * rank, 2 * rank + 2)
                    )
                    if number == 0 and rank == 1:
                        data['inputs'][:] = math.nan
                    runner.model.train_step(
                        data, optim_wrapper=runner.optim_wrapper
                    )
                return runner.model.module.state_dict()

            return take

        found = on_ranks(2, steps((0, 1)), tmp_path)
        wanted = on_ranks(2, steps((1,)), tmp_path)
    for rank in (0, 1):
        for key, value in wanted[rank].items():
            assert torch.equal(found[rank][key], value), key
