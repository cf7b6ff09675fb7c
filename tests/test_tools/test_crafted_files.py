"""No file that a tool opens can run code, whatever the version of torch."""

from __future__ import annotations

import functools
import http.server
import pickle
import runpy
import sys
import threading

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmkd.checkpoints.guard import only_plain_data
from mmkd.networks import build_network
from mmkd.pruning import standalone_loader
from mmkd.toys import toy_classifier, toy_dataset, toy_segmentor
from tests.support.crafted import Crafted, crafted_checkpoint, old_torch

REFUSED = 'holds objects beside weights'


@pytest.fixture(autouse=True)
def _old_torch(monkeypatch):
    old_torch(monkeypatch)


@pytest.fixture
def marker(tmp_path):
    """What must not exist afterwards."""
    path = tmp_path / 'code_ran'
    yield path
    assert not path.exists()


@pytest.fixture
def bad(tmp_path, marker):
    """A crafted checkpoint."""
    state = build_network(toy_segmentor(width=4)).state_dict()
    return crafted_checkpoint(tmp_path / 'bad.pth', marker, state)


def test_the_attack_works_where_it_is_let_in(tmp_path):
    marker = tmp_path / 'ran'
    torch.load(crafted_checkpoint(tmp_path / 'x.pth', marker))
    assert marker.exists()


def pretrained(file):
    return dict(type='Pretrained', checkpoint=str(file))


@pytest.mark.parametrize(
    'options',
    [
        ['--resume', '{bad}'],
        ['--cfg-options', 'load_from={bad}'],
        ['--cfg-options', 'load_from={bad}', 'resume=True'],
        ['--cfg-options', 'model.teacher.checkpoint={bad}'],
    ],
    ids=['resume', 'load_from', 'resume by key', 'teacher'],
)
def test_train(toy, tool, bad, error_line, options):
    options = [text.format(bad=bad) for text in options]
    work_dir = toy.folder / 'run'
    main = tool('train').main
    line = error_line(main, toy.distiller, '--work-dir', work_dir, *options)
    assert f'"{bad}" {REFUSED}' in line


@pytest.mark.parametrize(
    'part', ['model', 'model.backbone', 'model.student', 'teacher']
)
def test_init_cfg(toy, tool, bad, error_line, part):
    """The teacher's own is not even looked at: it has a checkpoint."""
    distilled = part in ('model.student', 'teacher')
    source = toy.distiller if distilled else toy.student
    config = Config.fromfile(source)
    if part == 'teacher':
        teacher = Config.fromfile(toy.student)
        teacher.model.backbone.init_cfg = pretrained(bad)
        teacher.dump(toy.folder / 'teacher_bad.py')
        config.model.teacher.config = str(toy.folder / 'teacher_bad.py')
    else:
        owner = functools.reduce(getattr, part.split('.'), config)
        owner.init_cfg = pretrained(bad)
    config.dump(toy.folder / 'bad.py')
    run = [toy.folder / 'bad.py', '--work-dir', toy.folder / 'run']
    main = tool('train').main
    if part == 'teacher':
        main([str(argument) for argument in run])
    else:
        assert f'"{bad}" {REFUSED}' in error_line(main, *run)


def test_resume_without_a_path(toy, tool, bad, error_line):
    folder = toy.folder / 'run'
    folder.mkdir()
    bad.rename(folder / 'iter_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    run = [toy.distiller, '--work-dir', folder, '--resume']
    line = error_line(tool('train').main, *run)
    assert 'none of the 1 checkpoints' in line
    assert REFUSED in line


@pytest.mark.parametrize('which', ['student', 'distiller'])
@pytest.mark.parametrize('name', ['test', 'export_student', 'prune_export'])
def test_tools_with_config_and_checkpoint(
    toy, tool, bad, error_line, name, which
):
    line = error_line(tool(name).main, getattr(toy, which), bad)
    assert f'"{bad}" {REFUSED}' in line


@pytest.mark.parametrize('name', ['linear_eval', 'few_shot_eval'])
def test_tools_for_transfer(tool, tmp_path, bad, error_line, name):
    pytest.importorskip('mmpretrain')
    network, data = tmp_path / 'network.py', tmp_path / 'data.py'
    Config(dict(model=toy_classifier(width=4))).dump(network)
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 24, size=(32, 32)),
    )
    Config(
        dict(
            default_scope='mmpretrain',
            train_dataloader=loader,
            test_dataloader=loader,
        )
    ).dump(data)
    line = error_line(tool(name).main, network, bad, data)
    assert f'"{bad}" {REFUSED}' in line


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('publish_backbone', ['{bad}', '{out}']),
        ('plot_pruning', ['zeros', '{bad}', '--out', '{out}']),
    ],
)
def test_tools_with_a_checkpoint(
    tool, tmp_path, bad, error_line, name, arguments
):
    out = tmp_path / 'out.png'
    arguments = [text.format(bad=bad, out=out) for text in arguments]
    assert REFUSED in error_line(tool(name).main, *arguments)
    assert not out.exists()


@pytest.mark.parametrize('name', ['cirkd_backbone', 'repdistiller'])
def test_model_converters(
    tools_folder, tmp_path, bad, capsys, monkeypatch, name
):
    first = 'resnet18'
    if name == 'repdistiller':
        first = str(tmp_path / 'network.py')
        Config(dict(model=toy_classifier(width=4))).dump(first)
    arguments = ['tool', first, str(bad), str(tmp_path / 'out.pth')]
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit):
        runpy.run_path(
            str(tools_folder / 'model_converters' / f'{name}.py'),
            run_name='__main__',
        )
    assert REFUSED in capsys.readouterr().err
    assert not (tmp_path / 'out.pth').exists()


@pytest.fixture
def address(tmp_path):
    """Serve the folder; yields its address."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)
    )
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.mark.parametrize('scheme', ['http', 'torchvision', 'open-mmlab'])
def test_downloads(tmp_path, bad, address, monkeypatch, scheme):
    """torch's own download reads with code, in every version."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'cache'))
    url = f'{address}/{bad.name}'
    models = 'mmengine.runner.checkpoint.get_{}_models'
    for kind in ('torchvision', 'external'):
        monkeypatch.setattr(models.format(kind), lambda: {'net': url})
    name = url if scheme == 'http' else f'{scheme}://net'
    with pytest.raises(ValueError, match=f'bad.pth" {REFUSED}'):
        CheckpointLoader.load_checkpoint(name, 'cpu')
    good = tmp_path / 'bad.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(2))), good)
    (tmp_path / 'cache' / 'checkpoints' / 'bad.pth').unlink()
    saved = CheckpointLoader.load_checkpoint(name, 'cpu')
    assert torch.equal(saved['state_dict']['a'], torch.ones(2))


def test_config_in_a_checkpoint_is_not_run(toy, tool, marker):
    """mmengine would run ``meta['config']`` of a file to resume."""
    folder = toy.folder / 'run'
    run = [str(toy.student), '--work-dir', str(folder), '--no-validate']
    tool('train').main(run)
    file = folder / 'iter_1.pth'
    saved = torch.load(file)
    saved['meta']['config'] = f'import pathlib\nopen({str(marker)!r}, "w")\n'
    torch.save(saved, toy.folder / 'bad.pth')
    tool('train').main([*run, '--resume', str(toy.folder / 'bad.pth')])
    assert not marker.exists()


def test_class_of_a_compact_network(tmp_path, marker):
    """A name in the file would be imported and called."""
    call = dict(type='os.system', command=f'touch {marker}')
    config = dict(model=call, default_scope='mmengine')
    meta = dict(config=config, dtype='float32', pruning_plan={})
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'compact.pth')
    with pytest.raises(ValueError, match=r'type="os\.system" is no class'):
        standalone_loader.load(tmp_path)


def test_files_that_others_load_while_a_tool_runs(bad, tmp_path, marker):
    """Task repositories and timm call ``torch.load`` themselves."""
    annotations = tmp_path / 'annotations.pkl'
    annotations.write_bytes(pickle.dumps([Crafted(marker)]))
    with only_plain_data():
        for options in ({}, dict(weights_only=False)):
            with pytest.raises(pickle.UnpicklingError):
                torch.load(bad, **options)
        with pytest.raises(ValueError, match='.pkl file" is not read'):
            mmengine.load(annotations)
        honest = dict(a=[1, 'b', None], c=np.arange(3), d=np.float32(2))
        mmengine.dump(honest, annotations)
        found = mmengine.load(annotations)
    assert found['a'] == honest['a']
    assert found['c'].tolist() == [0, 1, 2]
    assert found['d'] == 2
