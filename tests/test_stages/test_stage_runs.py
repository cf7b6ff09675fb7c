"""Stages of one config: their files, and going on where they stopped."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('mmpretrain')
from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.deploy import load_deployed  # noqa: E402
from mmkd.stages.plan import read_stages  # noqa: E402
from mmkd.toys import toy_classifier, toy_dataset  # noqa: E402
from tests.support.tool_runs import (  # noqa: E402, F401
    _isolated_runs,
    error_line,
    tool,
)

SIZE = (32, 32)


def plain(steps: int = 2) -> dict:
    """A toy classifier with its data, trained for a few steps."""
    return dict(
        default_scope='mmpretrain',
        model=toy_classifier(width=4),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=False),
            dataset=toy_dataset('classification', 8, size=SIZE),
        ),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=steps),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1)
        ),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0),
    )


def distilled(teacher: str) -> dict:
    """The same under a teacher, with a plain file at the end."""
    model = dict(
        type='mmkd.OfflineDistiller',
        student=toy_classifier(width=4),
        teacher=dict(config=teacher, checkpoint='stage:teacher'),
        taps=dict(logits='head.fc'),
        losses=dict(kd=dict(type='mmkd.KLDivLoss', on='logits')),
        input_shape=(3, *SIZE),
    )
    hook = dict(type='mmkd.ExportStudentHook')
    return dict(plain(), model=model, custom_hooks=[hook])


@pytest.fixture
def chain(tmp_path, _isolated_runs):  # noqa: F811
    """Folder of a config with five stages, each of a file or of its own."""
    Config(plain()).dump(tmp_path / 'teacher.py')
    teacher = str(tmp_path / 'teacher.py')
    Config(distilled(teacher)).dump(tmp_path / 'distilled.py')
    pruning = dict(
        type='mmkd.SoftFilterPruningHook',
        method='sfp',
        pruning_rate=0.5,
        by_epoch=False,
        interval=1,
        mask_bn=True,
    )
    stages = [
        dict(name='teacher', config='teacher.py', train_cfg=dict(max_iters=1)),
        dict(name='distill', config='distilled.py'),
        dict(
            name='prune',  # the keys of this file
            load_from='stage:distill/student.pth',
            default_hooks=dict(pruning=pruning),
        ),
        dict(name='compact', run='compact', of='prune'),
        dict(name='onnx', run='onnx', of='compact', input_shape=(3, *SIZE)),
    ]
    Config(dict(plain(), stages=stages)).dump(
        tmp_path / f'chain_{tmp_path.name}.py'
    )
    return tmp_path


@pytest.fixture
def run(chain, tool):  # noqa: F811
    """Run the chain by tools/train.py."""

    def call(*arguments):
        file = chain / f'chain_{chain.name}.py'
        where = ['--work-dir', str(chain / 'run')]
        tool('train').main([str(file), *where, *map(str, arguments)])
        return chain / 'run'

    return call


def iterations(path) -> int:
    return read_checkpoint(path)['meta']['iter']


@pytest.mark.slow
def test_stages_read_what_earlier_ones_wrote(run):
    folder = run()
    assert iterations(folder / 'teacher/iter_1.pth') == 1
    assert not (folder / 'teacher/iter_2.pth').exists()  # its own change
    # the distilled student is where pruning starts
    config = Config.fromfile(folder / 'prune/prune.py')
    assert config.load_from == str(folder / 'distill/student.pth')
    masked = load_deployed(config, folder / 'prune/iter_2.pth').network
    zeros = [
        int((m.weight.flatten(1) == 0).all(1).sum())
        for m in masked.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    assert sum(zeros) > 0

    # the last file computes what the network it came from does
    session = onnxruntime.InferenceSession(str(folder / 'onnx/model.onnx'))
    images = torch.randn(3, 3, *SIZE)
    (found,) = session.run(None, dict(input=images.numpy()))
    with torch.no_grad():
        wanted = masked(images, None, mode='tensor')
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    torch.testing.assert_close(torch.from_numpy(found), wanted)
    compact = read_checkpoint(folder / 'compact/compact.pth')['state_dict']
    assert sum(v.numel() for v in compact.values()) < sum(
        v.numel() for v in masked.state_dict().values()
    )
    facts = json.loads((folder / 'onnx/stage.json').read_text())['facts']
    assert facts['deviation'].keys() == {'compact', 'prune'}
    assert max(facts['deviation'].values()) < 1e-4


@pytest.mark.slow
def test_resume_runs_what_is_missing(run):
    folder = run('--stages', 'teacher', 'distill')
    assert not (folder / 'prune').exists()
    files = [folder / 'teacher/iter_1.pth', folder / 'distill/iter_1.pth']
    written = [file.stat().st_mtime_ns for file in files]
    # as if a kill had come after its first step
    (folder / 'distill/stage.json').unlink()
    (folder / 'distill/iter_2.pth').unlink()
    (folder / 'distill/iter_2.pth.sha256').unlink(missing_ok=True)
    (folder / 'distill/student.pth').unlink()
    (folder / 'distill/last_checkpoint').write_text(
        str(folder / 'distill/iter_1.pth')
    )
    run('--resume')
    assert iterations(folder / 'distill/iter_2.pth') == 2
    assert [file.stat().st_mtime_ns for file in files] == written
    assert (folder / 'onnx/model.onnx').is_file()


def test_a_run_that_is_not_resumed_starts_anew(run):
    folder = run('--stages', 'teacher')
    first = (folder / 'teacher/stage.json').stat().st_mtime_ns
    run('--stages', 'teacher')
    assert (folder / 'teacher/stage.json').stat().st_mtime_ns > first


def test_a_finished_stage_that_was_told_something_else(run, error_line):  # noqa: F811
    run('--stages', 'teacher')
    change = 'stages.teacher.train_cfg.max_iters=2'
    line = error_line(
        lambda arguments: run(*arguments),
        *('--resume', '--cfg-options', change),
    )
    assert 'stage "teacher"' in line and 'remove its folder' in line


@pytest.mark.slow
def test_a_stage_that_reads_what_was_trained_anew(run, error_line):  # noqa: F811
    run('--stages', 'teacher', 'distill')
    run('--stages', 'teacher', '--seed', 1)
    line = error_line(
        lambda arguments: run(*arguments), '--resume', '--stages', 'distill'
    )
    assert 'stage "distill"' in line and 'files that it read are' in line


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--stages', 'prun'], ['no such stage', 'nearest: prune']),
        (['--stages', 'distill'], ['stage:teacher', 'run the stage']),
        (['--resume', 'some.pth'], ['some.pth', '--resume alone']),
        (
            ['--cfg-options', 'stages.destill.load_from=x'],
            ['no stage "destill"', 'nearest: distill'],
        ),
        (
            ['--cfg-options', 'stages.distill.train_cfgg.max_iters=1'],
            ['stage "distill"', 'train_cfgg', 'nearest: train_cfg'],
        ),
        (
            ['--cfg-options', 'stages.compact.of=onnx'],
            ['"compact" reads stage "onnx"', 'change their order'],
        ),
        (
            ['--cfg-options', 'stages.prune.load_from=stage:destill'],
            ['"destill", which does not exist', 'nearest: distill'],
        ),
        (['--cfg-options', 'stages.onnx.run=onx'], ["'onx'", 'nearest: onnx']),
        (
            ['--cfg-options', 'stages.onnx.opset=11'],
            ['no option "opset"', 'input_shape'],
        ),
        (
            ['--cfg-options', 'stages.prune.name=teacher'],
            ['stages[2].name="teacher"', 'another one'],
        ),
        (['--cfg-options', 'stages.prune.name=a/b'], ["'a/b'", 'folder']),
        (
            ['--cfg-options', 'stages.teacher.config=no.py'],
            ['no.py', 'does not exist'],
        ),
        (['--cfg-options', 'stages=3'], ['stages=3', 'list of dicts']),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(
    run,
    chain,
    error_line,  # noqa: F811
    arguments,
    words,
):
    line = error_line(lambda given: run(*given), *arguments)
    for word in words:
        assert word in line
    assert not (chain / 'run/teacher/iter_1.pth').exists()


def test_a_file_that_a_stage_did_not_write(run, error_line):  # noqa: F811
    line = error_line(
        lambda arguments: run(*arguments),
        *('--stages', 'teacher', 'distill', 'prune', '--cfg-options'),
        'stages.prune.load_from=stage:distill/studnet.pth',
    )
    assert 'has no file "studnet.pth"' in line and 'student.pth' in line


def test_other_tools_ask_for_the_config_of_a_stage(chain, error_line, tool):  # noqa: F811
    file = chain / f'chain_{chain.name}.py'
    config = Config.fromfile(file)
    config.pop('model')
    config.dump(file)
    line = error_line(tool('list_taps').main, file)
    assert 'stages' in line and 'NAME/NAME.py' in line


def test_no_stages_in_the_config(chain, error_line, tool):  # noqa: F811
    line = error_line(
        tool('train').main, chain / 'teacher.py', '--stages', 'distill'
    )
    assert 'the config has no stages' in line


@pytest.mark.slow
def test_a_stage_can_train_a_compact_network(run, chain):
    file = chain / f'chain_{chain.name}.py'
    config = Config.fromfile(file)
    stages = copy.deepcopy(config.stages)[:4]
    stages.append(
        dict(
            name='finetune',
            config='stage:compact/compact_config.py',
            train_cfg=dict(max_iters=1),
        )
    )
    config.stages = stages
    config.dump(file)
    folder = run()
    tuned = read_checkpoint(folder / 'finetune/iter_1.pth')['state_dict']
    cut = read_checkpoint(folder / 'compact/compact.pth')['state_dict']
    assert {k: v.shape for k, v in tuned.items()} == {
        k: v.shape for k, v in cut.items()
    }


@pytest.mark.parametrize('base', ['{configs}/', 'mmkd::'])
def test_configs_beside_a_base_are_found(tmp_path, base):
    configs = Path(__file__).parents[2] / 'configs'
    child = tmp_path / 'child.py'
    name = 'stages/toy_hssakd_asrfp_onnx.py'
    child.write_text(f"_base_ = '{base.format(configs=configs)}{name}'\n")
    stages = read_stages(Config.fromfile(child))
    trained = {s.name: s.config for s in stages if s.config is not None}
    assert list(trained) == ['teacher', 'distill', 'prune']
    assert trained['distill'].model.type == 'mmkd.OfflineDistiller'
