"""One call: what it finds, writes and runs, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd.apis import distill
from mmkd.checkpoints.read import read_checkpoint
from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_pose_estimator, toy_segmentor
from tests.support.toy_pairs import TASKS, Pair, write_config, write_pair


def call(pair: Pair, **changes: Any) -> Config:
    """Write the config of a pair; return it as it is read."""
    given: dict[str, Any] = dict(
        student=pair.student,
        teacher=(pair.teacher, pair.weights),
        data=pair.data,
        out=pair.out,
        run=False,
    )
    path = distill(**(given | changes))
    return Config.fromfile(path)


@dataclass
class Expected:
    """What must stand in the config of a toy pair."""

    taps: dict[str, Any]
    losses: tuple[str, ...]
    metric: str
    channels: dict[str, Any] = field(default_factory=dict)


EXPECTED = dict(
    classification=Expected(dict(logits='head.fc'), ('kd',), 'Accuracy'),
    segmentation=Expected(
        dict(
            feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
        ),
        ('kd', 'minibatch'),
        'IoUMetric',
    ),
    pose=Expected(dict(heatmaps='head.final_layer'), ('kd',), 'CocoMetric'),
    detection=Expected(
        dict(pyramid='neck[{0,1,2}]'), ('fitnet',), 'CocoMetric'
    ),
)


@pytest.mark.parametrize('task', TASKS)
def test_config_says_what_was_found(task: str, tmp_path: Path) -> None:
    pytest.importorskip(TASKS[task][0])
    pair = write_pair(tmp_path, task)
    config = call(pair, epochs=2, batch_size=2)
    wanted = EXPECTED[task]
    model = config.model
    assert model.type == 'mmkd.OfflineDistiller'
    assert model.student == dict(config=str(pair.student))
    assert model.teacher.checkpoint == str(pair.weights)
    assert model.taps == wanted.taps
    assert tuple(model.losses) == wanted.losses
    assert config.val_evaluator.type == wanted.metric
    assert config.default_scope == TASKS[task][0]
    assert config.train_dataloader.batch_size == 2
    assert config.train_cfg.max_epochs == 2
    assert config.work_dir == str(pair.out / 'run')
    text = (pair.out / 'distill.py').read_text()
    assert len(text.splitlines()) < 170
    assert f'python tools/train.py {pair.out}/distill.py' in text


def test_other_classes_get_a_new_head_and_features(tmp_path: Path) -> None:
    pair = write_pair(
        tmp_path,
        'classification',
        student=toy_classifier(4, num_classes=7),
        teacher=toy_classifier(8, num_classes=9),
    )
    said: list[str] = []
    config = call(pair, say=said.append)
    assert config.model.student.cfg_options['model.head.num_classes'] == 3
    assert list(config.model.losses) == ['rkd']
    assert any('not kd: the teacher knows 9 classes' in line for line in said)


def test_data_of_the_students_config_are_inherited(tmp_path: Path) -> None:
    model = toy_classifier(8)
    pair = write_pair(
        tmp_path, 'classification', toy_classifier(4), model, data=False
    )
    config = call(pair, data=None)
    assert config.train_dataloader.dataset.type == 'mmkd.SyntheticClsDataset'
    assert config.model.student.type == 'ImageClassifier'
    assert config.model.student.head.in_channels == 32
    assert len((pair.out / 'distill.py').read_text().splitlines()) < 40


def test_data_by_the_config_of_a_data_set(tmp_path: Path) -> None:
    pair = write_pair(
        tmp_path,
        'classification',
        toy_classifier(4),
        toy_classifier(8),
        data=False,
    )
    data = tmp_path / 'own_data.py'
    whole = Config.fromfile(pair.student)
    Config(dict(train_dataloader=whole.train_dataloader)).dump(data)
    config = call(pair, data=data)
    assert config.train_dataloader == whole.train_dataloader
    assert config.train_cfg.max_epochs == 10  # of the student
    assert config.default_scope == 'mmpretrain'  # of the runtime


def test_student_may_be_a_checkpoint_of_a_run(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 'classification')
    run = tmp_path / 'run'
    run.mkdir()
    shutil.copy(pair.student, run)
    network = build_network(str(pair.student))
    torch.save(network.state_dict(), run / 'epoch_3.pth')
    config = call(pair, student=run / 'epoch_3.pth')
    start = config.model.student.cfg_options['model.init_cfg']
    assert start == dict(
        type='Pretrained', checkpoint=str(run / 'epoch_3.pth')
    )
    assert config.model.student.config == str(run / pair.student.name)


def test_newest_checkpoint_of_a_run_is_the_teachers(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, 'classification')
    (tmp_path / 'last_checkpoint').write_text(str(pair.weights))
    config = call(pair, teacher=pair.teacher)
    assert config.model.teacher.checkpoint == str(pair.weights)


def bad_masks(root: Path) -> None:
    for path in (root / 'masks').rglob('*.png'):
        cv2.imwrite(str(path), np.zeros((64, 80, 3), np.uint8))


def no_labels(root: Path) -> None:
    for path in (root / 'masks').rglob('*.png'):
        cv2.imwrite(str(path), np.full((64, 80), 255, np.uint8))


def no_annotations(root: Path) -> None:
    path = root / 'annotations' / 'train.json'
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(content, annotations=[])))


def flat(root: Path) -> None:
    for path in list((root / 'train').rglob('*.jpg')):
        shutil.move(path, root / 'train' / f'{path.parent.name}{path.name}')
    for path in (root / 'train').iterdir():
        if path.is_dir():
            path.rmdir()


def permuted(pair: Pair) -> dict[str, Any]:
    saved = read_checkpoint(pair.weights)
    classes = ('owl', 'heron', 'finch')
    torch.save(
        dict(saved, meta=dict(dataset_meta=dict(classes=classes))),
        pair.weights,
    )
    return {}


def other_weights(pair: Pair) -> dict[str, Any]:
    network = build_network(toy_classifier(4, num_classes=3))
    torch.save(network.state_dict(), pair.weights)
    return {}


def seven_classes(pair: Pair) -> dict[str, Any]:
    model = toy_classifier(8, num_classes=7)
    write_config(pair.teacher, 'classification', model)
    torch.save(build_network(model).state_dict(), pair.weights)
    return dict(method='kd')


def of_another_task(pair: Pair) -> dict[str, Any]:
    other = write_pair(pair.out.parent / 'other', 'segmentation', data=False)
    return dict(teacher=(other.teacher, other.weights))


def data_of(task: str) -> Callable[[Pair], dict[str, Any]]:
    def change(pair: Pair) -> dict[str, Any]:
        folder = pair.out.parent / 'elsewhere'
        TASKS[task][2](folder)
        return dict(data=folder)

    return change


def changed_data(function: Callable[[Path], None]) -> Callable[[Pair], dict]:
    def change(pair: Pair) -> dict[str, Any]:
        function(pair.data)
        return {}

    return change


def given(**values: Any) -> Callable[[Pair], dict[str, Any]]:
    return lambda pair: values


#: mistake -> (task, change, what the sentence says)
MISTAKES: dict[str, tuple[str, Callable[[Pair], dict[str, Any]], str]] = {
    'teacher of another task': (
        'classification',
        of_another_task,
        'a network for classification, and .* one for segmentation',
    ),
    'data of another task': (
        'classification',
        data_of('segmentation'),
        'is for segmentation, but the student is a network for classif',
    ),
    'boxes for pose': (
        'pose',
        data_of('detection'),
        'has no key points .* no labels for pose',
    ),
    'class folders for a detector': (
        'detection',
        data_of('classification'),
        r'is for classification, .* needs annotations/train\.json',
    ),
    'unknown method': (
        'classification',
        given(method='kdd'),
        'no such method for classification; nearest: kd; use auto or',
    ),
    'method of another task': (
        'classification',
        given(method='pkd'),
        r'no such method for classification \(there is for detection\)',
    ),
    'other classes under KD': (
        'classification',
        seven_classes,
        'teacher knows 7 classes, the student learns 3; use one that does',
    ),
    'no class folders': (
        'classification',
        changed_data(flat),
        'no class folders: the data have no labels',
    ),
    'nothing in the folder': (
        'classification',
        lambda pair: dict(data=pair.out.parent / 'empty'),
        'there are no images; for classification it must hold train/CLASS',
    ),
    'one folder less for validation': (
        'classification',
        changed_data(lambda root: shutil.rmtree(root / 'val' / 'owl')),
        r'other class folders \(owl in one of them alone\)',
    ),
    'no such folder': (
        'classification',
        given(data='/nowhere/birds'),
        'data="/nowhere/birds" does not exist',
    ),
    'masks with colours': (
        'segmentation',
        changed_data(bad_masks),
        'is no mask of one channel',
    ),
    'masks without labels': (
        'segmentation',
        changed_data(no_labels),
        'the data have no labels',
    ),
    'no masks': (
        'segmentation',
        changed_data(lambda root: shutil.rmtree(root / 'masks')),
        'but no masks in masks/train: the data have no labels',
    ),
    'no annotations': (
        'detection',
        changed_data(no_annotations),
        'has no annotations: the data have no labels',
    ),
    'images lost': (
        'detection',
        changed_data(lambda root: shutil.rmtree(root / 'images' / 'train')),
        'the images of train.json are not found',
    ),
    'teacher without weights': (
        'classification',
        lambda pair: dict(teacher=pair.teacher),
        r'has no weights: train it first \(python tools/train.py',
    ),
    'no such checkpoint': (
        'classification',
        lambda pair: dict(teacher=(pair.teacher, 'lost.pth')),
        'teacher: the checkpoint "lost.pth" does not exist',
    ),
    'weights of another network': (
        'classification',
        other_weights,
        'teacher checkpoint=.* does not fit',
    ),
    'classes in another order': (
        'classification',
        permuted,
        'learnt the classes in the order owl, heron, finch',
    ),
    'no name of a network': (
        'classification',
        given(student='resnet18'),
        'student="resnet18" is no name of a network',
    ),
    'no such config': (
        'classification',
        given(student='lost.py'),
        'config="lost.py" does not exist',
    ),
    'checkpoint without config': (
        'classification',
        lambda pair: dict(student=moved(pair)),
        'a checkpoint alone is no network',
    ),
    'no epochs': (
        'classification',
        given(epochs=0),
        'epochs=0 must be a positive number',
    ),
}


def moved(pair: Pair) -> Path:
    folder = pair.out.parent / 'alone'
    folder.mkdir()
    return Path(shutil.copy(pair.weights, folder))


@pytest.mark.parametrize('mistake', MISTAKES)
def test_mistakes_are_one_sentence(mistake: str, tmp_path: Path) -> None:
    task, change, pattern = MISTAKES[mistake]
    pytest.importorskip(TASKS[task][0])
    (tmp_path / 'other').mkdir()
    (tmp_path / 'empty').mkdir()
    pair = write_pair(tmp_path, task)
    changes = change(pair)
    with pytest.raises(
        (ValueError, FileNotFoundError), match=pattern
    ) as raised:
        call(pair, **changes)
    assert '\n' not in str(raised.value)


def test_timm_says_what_is_missing(tmp_path: Path) -> None:
    try:
        import timm  # noqa: F401
    except ImportError:
        pair = write_pair(tmp_path, 'classification')
        with pytest.raises(ImportError, match='needs the package timm'):
            call(pair, teacher='timm:resnet50')
    else:
        pytest.skip('timm is installed')


def test_levels_of_equal_stride_are_compared(tmp_path: Path) -> None:
    pytest.importorskip('mmseg')
    teacher = toy_segmentor(8, num_classes=3)
    teacher.backbone.update(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 1))
    pair = write_pair(tmp_path, 'segmentation', teacher=teacher)
    config = call(pair, method='kd')
    assert config.model.losses.kd.resize == 'teacher'


def test_crops_of_pose_stay_those_of_the_student(tmp_path: Path) -> None:
    pytest.importorskip('mmpose')
    teacher = toy_pose_estimator(8, num_joints=4)
    config = call(write_pair(tmp_path, 'pose', teacher=teacher))
    assert config.codec.heatmap_size == (16, 16)
    assert config.metainfo.keypoint_info[1].swap == 'right_ear'


def test_tool_trains_and_exports(
    tool: Callable[[str], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    trained, plain = run_tool(tool, tmp_path, 'classification')
    assert trained == plain
    assert 'method kd: both know the same 3 classes' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('task', ['segmentation', 'pose', 'detection'])
def test_tool_trains_every_task(
    task: str, tool: Callable[[str], Any], tmp_path: Path
) -> None:
    trained, plain = run_tool(tool, tmp_path, task)
    assert trained == plain


def run_tool(
    tool: Callable[[str], Any], folder: Path, task: str
) -> tuple[set[str], set[str]]:
    """One short run; keys of its student, and of the plain network."""
    pair = write_pair(folder, task)
    tool('distill').main(
        [
            *('--student', str(pair.student)),
            *('--teacher', str(pair.teacher), str(pair.weights)),
            *('--data', str(pair.data), '--out', str(pair.out)),
            *('--epochs', '1', '--batch-size', '2'),
        ]
    )
    network = build_network(str(pair.student))
    trained = read_checkpoint(pair.out / 'run' / 'student.pth')['state_dict']
    return set(trained), set(network.state_dict())


def test_lists_say_what_goes_with_what(
    tool: Callable[[str], Any], capsys: pytest.CaptureFixture
) -> None:
    tool('distill').main(['list-methods', '--task', 'detection'])
    out = capsys.readouterr().out
    assert 'pkd' in out and 'pyramids of the same channels' in out
    tool('distill').main(
        ['list-teachers', '--task', 'pose', '--match', 'mpii']
    )
    out = capsys.readouterr().out
    assert 'mmpose::body_2d_keypoint' in out
    assert 'coco-256' not in out


def test_arguments_are_asked_for(
    tool: Callable[[str], Any], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        tool('distill').main(['--student', 'a.py'])
    assert '--teacher is missing' in capsys.readouterr().err
