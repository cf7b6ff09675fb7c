"""A ``.safetensors`` file wherever a tool takes a checkpoint."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.write import write_weights
from mmkd.networks import build_network


@pytest.fixture
def weights(toy):
    """The teacher's weights in this form."""
    path = toy.folder / 'weights.safetensors'
    write_weights(path, read_checkpoint(toy.teacher)['state_dict'])
    return path


def test_export(toy, tool, weights):
    """In and out; the file loads strictly and without mmkd's reader."""
    out = toy.folder / 'student.safetensors'
    main = tool('export_student').main
    main([str(toy.student), str(weights), '--out', str(out)])
    network = build_network(Config.fromfile(toy.student).model)
    network.load_state_dict(load_file(out), strict=True)
    trained = read_checkpoint(toy.teacher)['state_dict']
    for key, value in network.state_dict().items():
        assert torch.equal(value, trained[key])


@pytest.mark.parametrize('way', ['load_from', 'teacher', 'init_cfg'])
def test_train(toy, tool, weights, way):
    config = Config.fromfile(toy.distiller)
    if way == 'load_from':
        config = Config.fromfile(toy.student)
        config.load_from = str(weights)
    elif way == 'teacher':
        config.model.teacher.checkpoint = str(weights)
    else:
        config.model.student.init_cfg = dict(
            type='Pretrained', checkpoint=str(weights)
        )
    config.train_cfg.max_iters = 1
    config.optim_wrapper.optimizer.lr = 0.0
    config.dump(toy.folder / 'run.py')
    folder = toy.folder / 'run'
    run = [str(toy.folder / 'run.py'), '--work-dir', str(folder)]
    tool('train').main([*run, '--no-validate'])
    if way != 'teacher':
        saved = read_checkpoint(folder / 'iter_1.pth')['state_dict']
        key = 'backbone.conv1.weight'
        found = saved.get(key, saved.get(f'student.{key}'))
        start = read_checkpoint(weights)['state_dict'][key]
        assert torch.equal(found, start)


def test_evaluation_and_backbone(toy, tool, weights):
    metrics = tool('test').main(
        [str(toy.student), str(weights), '--work-dir', str(toy.folder / 'a')]
    )
    same = tool('test').main(
        [str(toy.student), str(toy.teacher), f'--work-dir={toy.folder / "b"}']
    )
    assert metrics == same
    out = toy.folder / 'backbone.safetensors'
    tool('publish_backbone').main([str(weights), str(out)])
    assert all(key.startswith('backbone.') for key in load_file(out))


@pytest.mark.parametrize(
    ('which', 'file', 'words'),
    [
        ('distiller', 'teacher', ['0 of its', 'in model.student']),
        ('student', 'other', ['0 of its', 'Give the file of this network']),
        ('student', 'wide', ['have another shape', 'load_from_partial=True']),
    ],
)
def test_load_from_of_another_network(
    toy, tool, error_line, which, file, words
):
    from mmkd.toys import toy_segmentor

    path = toy.folder / f'{file}.pth'
    if file == 'other':
        write_weights(path, dict(a=torch.ones(1)))
    elif file == 'wide':
        write_weights(path, build_network(toy_segmentor(8)).state_dict())
    run = [getattr(toy, which), '--work-dir', toy.folder / 'run']
    options = ['--cfg-options', f'load_from={path}']
    line = error_line(tool('train').main, *run, *options)
    assert f'load_from="{path}"' in line
    assert all(word in line for word in words), line


def test_load_from_partial_is_a_key_of_the_config(toy, tool):
    from mmkd.toys import toy_segmentor

    path = toy.folder / 'wide.pth'
    write_weights(path, build_network(toy_segmentor(8)).state_dict())
    run = [str(toy.student), f'--work-dir={toy.folder / "run"}']
    options = [f'load_from={path}', 'load_from_partial=True']
    tool('train').main([*run, '--no-validate', '--cfg-options', *options])
    assert (toy.folder / 'run' / 'iter_2.pth').is_file()
