"""benchmarks/moco.py: both steps do the same, the report is complete."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper

from benchmarks import moco as benchmark
from benchmarks.cases.moco_by_hand import moco_step
from tests.support.float64 import in_float64
from tests.support.toy_moco import build, mcl_config, moco_config, views

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('config', [mcl_config, moco_config])
def test_step_by_hand_does_what_the_distiller_does(config):
    model = in_float64(build(config()))
    by_hand = copy.deepcopy(model)
    sgd = [
        OptimWrapper(torch.optim.SGD(m.parameters(), lr=0.1))
        for m in (model, by_hand)
    ]
    step = moco_step(by_hand, sgd[1], views())
    for _ in range(2):
        torch.manual_seed(5)
        model.train_step(views(), sgd[0])
        torch.manual_seed(5)
        step()
    skipped = ('steps', 'num_batches_tracked')
    found = by_hand.state_dict()
    for key, value in model.state_dict().items():
        if not key.endswith(skipped):
            torch.testing.assert_close(found[key], value, msg=key)


def test_report(capsys):
    config = ROOT / 'configs' / 'mcl_moco' / 'toy_moco.py'
    options = ['--steps=1', '--batch-size=16']
    (found,) = benchmark.main([str(config), *options])
    assert found['gradients'] == 0 and found['in_place']
    kept = [cost.kept_bytes for cost in found['costs'].values()]
    assert kept[0] <= 1.05 * kept[1]
    assert '| `toy_moco` | 16 x 3x32x32 |' in capsys.readouterr().out
