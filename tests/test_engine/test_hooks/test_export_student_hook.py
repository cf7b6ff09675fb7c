"""ExportStudentHook: which weights are written under which name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from torch import nn

from mmkd.engine.hooks import ExportStudentHook


class Distiller(nn.Module):
    """Holds a student and something that is not exported."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(2, 2)
        self.aux_heads = nn.Linear(2, 2)

    @property
    def deployed(self) -> nn.Module:
        return self.student


@pytest.fixture
def runner(tmp_path):
    said = []
    return SimpleNamespace(
        model=Distiller(),
        cfg=Config(),
        hooks=[],
        work_dir=str(tmp_path),
        message_hub=SimpleNamespace(runtime_info={'iter': 3}),
        train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(metainfo=dict(classes=('a', 'b')))
        ),
        logger=SimpleNamespace(info=said.append, warning=said.append),
        iter=3,
        said=said,
    )


def read(path):
    return torch.load(path, weights_only=True)


def test_final_weights(runner, tmp_path):
    ExportStudentHook().after_train(runner)
    assert [path.name for path in tmp_path.iterdir()] == ['student.pth']
    saved = read(tmp_path / 'student.pth')
    student = runner.model.student.state_dict()
    assert list(saved['state_dict']) == list(student)
    assert torch.equal(saved['state_dict']['weight'], student['weight'])
    assert saved['meta']['dataset_meta'] == dict(classes=['a', 'b'])


def test_other_folder_and_name(runner, tmp_path):
    ExportStudentHook(str(tmp_path / 'out'), 'net').after_train(runner)
    assert (tmp_path / 'out' / 'net.pth').is_file()


@pytest.mark.parametrize(
    ('keys', 'names'),
    [
        (['best_ckpt'], ['student_best.pth']),
        (
            ['best_ckpt_mIoU', 'best_ckpt_coco/AP'],
            ['student_best_mIoU.pth', 'student_best_coco_AP.pth'],
        ),
    ],
)
def test_best_weights(runner, tmp_path, keys, names):
    other = Distiller()
    best = tmp_path / 'best.pth'
    torch.save(dict(state_dict=other.state_dict()), best)
    runner.message_hub.runtime_info.update(dict.fromkeys(keys, str(best)))
    before = runner.model.student.weight.detach().clone()
    ExportStudentHook().after_train(runner)
    for name in names:
        saved = read(tmp_path / name)['state_dict']
        assert torch.equal(saved['weight'], other.student.weight)
    assert torch.equal(runner.model.student.weight, before)


def test_best_checkpoint_that_is_gone(runner, tmp_path):
    runner.message_hub.runtime_info['best_ckpt'] = str(tmp_path / 'gone.pth')
    ExportStudentHook().after_train(runner)
    assert [path.name for path in tmp_path.iterdir()] == ['student.pth']
    assert any('is gone' in text for text in runner.said)


def test_averaged_weights_are_exported(runner, tmp_path):
    ema = EMAHook(momentum=0.5)
    ema.before_run(runner)
    start = runner.model.student.weight.detach().clone()
    runner.hooks = [ema]
    with torch.no_grad():
        runner.model.student.weight.add_(1.0)
    ema.ema_model.steps += 1  # the first update copies
    ema.after_train_iter(runner, 0)
    ExportStudentHook().after_train(runner)
    saved = read(tmp_path / 'student.pth')['state_dict']
    torch.testing.assert_close(saved['weight'], start + 0.5)
    torch.testing.assert_close(
        runner.model.student.weight.detach(), start + 1.0
    )
