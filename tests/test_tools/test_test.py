"""tools/test.py: every kind of config with every kind of checkpoint."""

from __future__ import annotations

import json

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.fileio import load

from mmkd.networks import build_network
from mmkd.registry import TRANSFORMS
from mmkd.toys import toy_segmentor


@pytest.fixture
def checkpoints(toy):
    """The same weights as a plain and as a distiller's checkpoint."""
    state = torch.load(toy.teacher, weights_only=True)['state_dict']
    distiller = toy.folder / 'distiller.pth'
    torch.save(
        dict(
            state_dict={f'student.{key}': v for key, v in state.items()}
            | {'losses.memory.queue': torch.zeros(2)}
        ),
        distiller,
    )
    return dict(plain=toy.teacher, distiller=distiller)


def test_configs_and_checkpoints_combine(toy, tool, checkpoints):
    results = []
    for config in (toy.student, toy.distiller):
        for checkpoint in checkpoints.values():
            out = toy.folder / f'{len(results)}.json'
            metrics = tool('test').main(
                [
                    str(config),
                    str(checkpoint),
                    '--work-dir',
                    str(toy.folder / 'run'),
                    '--out',
                    str(out),
                    '--cfg-options',
                    f'experiment_name={out.stem}',
                ]
            )
            results.append(json.loads(out.read_text()))
            assert results[-1] == pytest.approx(metrics)
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert 0 < results[0]['aAcc'] < 100


def test_teacher_is_not_needed(toy, tool, checkpoints):
    toy.teacher.unlink()
    metrics = tool('test').main(
        [
            str(toy.distiller),
            str(checkpoints['distiller']),
            '--work-dir',
            str(toy.folder / 'run'),
            '--out',
            str(toy.folder / 'predictions.pkl'),
        ]
    )
    assert 'mIoU' in metrics
    assert len(load(str(toy.folder / 'predictions.pkl'))) == 4


@TRANSFORMS.register_module(force=True)
class TinyPath(BaseTransform):
    """A path for a scene, which the stock augmentation asks for."""

    def transform(self, results):
        return dict(results, img_path='')


def test_test_time_augmentation(toy, tool):
    config = toy.folder / f'tta_{toy.student.name}'
    config.write_text(
        f"""_base_ = ['{toy.student.name}']
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='mmkd.LoadScene'),
    dict(type='mmkd.TinyPath'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)],
            [dict(type='mmkd.LoadSceneSegMap')],
            [dict(type='PackSegInputs')],
        ]),
]
"""
    )
    work_dir = str(toy.folder / 'run')
    metrics = tool('test').main(
        [str(config), str(toy.teacher), '--tta', '--work-dir', work_dir]
    )
    assert 0 < metrics['aAcc'] < 100


def test_other_weights_are_refused(toy, tool, error_line):
    other = toy.folder / 'other.pth'
    network = build_network(toy_segmentor(width=8))
    torch.save(network.state_dict(), other)
    work_dir = toy.folder / 'run'
    line = error_line(
        tool('test').main, toy.distiller, other, '--work-dir', work_dir
    )
    assert 'does not fit' in line
    assert str(other) in line


def test_missing_keys_are_refused(toy, tool, error_line):
    state = torch.load(toy.teacher, weights_only=True)['state_dict']
    del state['decode_head.conv_seg.bias']
    torch.save(state, toy.teacher)
    work_dir = toy.folder / 'run'
    line = error_line(
        tool('test').main, toy.student, toy.teacher, '--work-dir', work_dir
    )
    assert 'decode_head.conv_seg.bias' in line


@pytest.mark.parametrize(
    ('arguments', 'word'),
    [
        (['--out', 'metrics.txt'], '.json'),
        (['--tta'], 'tta_model'),
        (['--cfg-options', 'test_evaluator=None'], 'val_evaluator'),
    ],
)
def test_mistakes_give_one_line(toy, tool, error_line, arguments, word):
    line = error_line(
        tool('test').main, toy.distiller, toy.teacher, *arguments
    )
    assert word in line
