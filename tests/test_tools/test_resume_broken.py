"""What is not finite in a file is not gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mmkd.cli.training import _broken

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'mcl_moco' / 'toy_mcl_moco_x2.py'
SMALL = [
    '--cfg-options',
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.num_samples=32',
]


def test_broken_queue_is_refused(
    tmp_path: Path, tool: Any, error_line: Any
) -> None:
    train, work = tool('train').main, str(tmp_path / 'run')
    train([str(CONFIG), '--work-dir', work, *SMALL])
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)
    queue = saved['state_dict']['exchanges.0.loss.queue']
    for value in (float('nan'), float('inf')):
        queue[1, 3, 5] = value
        file = tmp_path / 'broken.pth'
        torch.save(saved, file)
        line = error_line(
            train, CONFIG, '--work-dir', work, '--resume', file, *SMALL
        )
        assert 'exchanges.0.loss.queue' in line
        assert 'not finite' in line and 'earlier checkpoint' in line


def test_masks_may_hold_infinities() -> None:
    mask = torch.tensor([0.0, -torch.inf])
    assert not _broken(mask, mask)
    assert _broken(mask, torch.zeros(2))
    assert not _broken(torch.tensor([1, 2]), torch.zeros(2))
