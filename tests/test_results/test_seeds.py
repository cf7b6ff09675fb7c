from __future__ import annotations

from pathlib import Path

import pytest

from mmkd.results.seeds import newest


def test_best_checkpoint_of_a_pruned_run(tmp_path: Path) -> None:
    path = tmp_path / 'best_pruned_accuracy_top1_epoch_9.pth'
    path.touch()
    patterns = ('best_accuracy_top1_*', 'best_pruned_accuracy_top1_*')
    assert newest(tmp_path, *patterns) == path
    with pytest.raises(FileNotFoundError, match='no file best_mIoU_'):
        newest(tmp_path, 'best_mIoU_*')
