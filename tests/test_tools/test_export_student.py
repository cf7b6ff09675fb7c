"""tools/export_student.py and the hook: plain files that mmseg loads."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_batch


@pytest.fixture
def trained(toy, tool):
    """Folder of a finished run of the distiller with the export hook."""
    config = Config.fromfile(toy.distiller)
    config.custom_hooks = [dict(type='mmkd.ExportStudentHook')]
    config.default_hooks.checkpoint.save_best = 'mIoU'
    config.dump(toy.distiller)
    folder = toy.folder / 'run'
    tool('train').main([str(toy.distiller), '--work-dir', str(folder)])
    return folder


def predictions(model, batch):
    model.eval()
    with torch.no_grad():
        samples = model.test_step(batch)
    return torch.stack([s.pred_sem_seg.data for s in samples])


def test_exported_student_is_plain_mmseg(toy, tool, trained):
    mmseg_registry = pytest.importorskip('mmseg.registry')
    report = tool('export_student').main(
        [str(toy.distiller), str(trained / 'iter_2.pth')]
    )
    assert report.path == trained / 'student.pth'

    saved = torch.load(report.path, weights_only=True)
    spec = Config.fromfile(toy.student).model
    spec.pop('_scope_', None)
    plain = mmseg_registry.MODELS.build(spec)
    keys = plain.load_state_dict(saved['state_dict'], strict=True)
    assert not keys.missing_keys
    assert not keys.unexpected_keys
    assert saved['meta']['dataset_meta']['classes'][0] == 'ground'

    distiller = MODELS.build(Config.fromfile(toy.distiller).model)
    state = torch.load(trained / 'iter_2.pth', weights_only=False)
    distiller.load_state_dict(state['state_dict'], strict=True)
    batch = toy_batch('segmentation', 2, size=(32, 32))
    assert torch.equal(
        predictions(plain, batch), predictions(distiller, batch)
    )


@pytest.mark.slow
def test_hook_writes_final_and_best(trained):
    final = torch.load(trained / 'iter_2.pth', weights_only=False)
    for name in ('student.pth', 'student_best.pth'):
        plain = torch.load(trained / name, weights_only=True)['state_dict']
        assert {f'student.{key}' for key in plain} == set(final['state_dict'])
        assert all(
            torch.equal(value, final['state_dict'][f'student.{key}'])
            for key, value in plain.items()
        )


def test_default_name_lies_beside_the_checkpoint(toy, tool, capsys):
    report = tool('export_student').main([str(toy.student), str(toy.teacher)])
    assert report.path == toy.folder / 'student.pth'
    assert 'equal' in capsys.readouterr().out
    build_network(str(toy.student)).load_state_dict(
        torch.load(report.path, weights_only=True)['state_dict']
    )


def test_mistakes_give_one_line(toy, tool, error_line):
    main = tool('export_student').main
    line = error_line(main, toy.distiller, toy.folder / 'no.pth')
    assert 'no.pth' in line
    line = error_line(main, toy.distiller, toy.teacher, '--out', toy.teacher)
    assert 'the checkpoint itself' in line
