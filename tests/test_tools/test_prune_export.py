"""tools/prune_export.py: files that load without mmkd."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.pruning import standalone_loader
from mmkd.registry import MODELS
from mmkd.toys import (
    toy_classifier,
    toy_dataset,
    toy_detector,
    toy_pose_estimator,
    toy_segmentor,
)
from tests.support.masked_networks import mask_at_random

# Runs in a process where `import mmkd` fails.
PROGRAM = """
import sys
sys.modules['mmkd'] = None
import torch
sys.path.insert(0, sys.argv[1])
from loader import load

network = load()
with torch.no_grad():
    outputs = network(torch.load(sys.argv[2]), None, mode='tensor')
torch.save(outputs, sys.argv[3])
"""
TOYS = dict(
    mmpretrain=toy_classifier,
    mmseg=toy_segmentor,
    mmpose=toy_pose_estimator,
    mmdet=toy_detector,
)


@pytest.fixture
def run(tmp_path):
    """Config and masked checkpoint of a toy network, in that order."""

    def write(repository='mmpretrain', rate=0.3, **options):
        pytest.importorskip(repository)
        model = TOYS[repository]()
        torch.manual_seed(0)
        network = mask_at_random(build_network(model), rate)
        config = tmp_path / f'{repository}_{tmp_path.name}.py'
        Config(dict(default_scope=repository, model=model, **options)).dump(
            config
        )
        checkpoint = tmp_path / 'masked.pth'
        torch.save(dict(state_dict=network.state_dict()), checkpoint)
        return config, checkpoint, network

    return write


@pytest.fixture
def export(tool):
    """Run the tool on 64 x 64 images."""

    def call(config, checkpoint, *options):
        shape = ['--input-shape', 3, 64, 64, '--rounds', 1]
        arguments = [config, checkpoint, *shape, *options]
        return tool('prune_export').main([str(arg) for arg in arguments])

    return call


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for entry in outputs for tensor in flat(entry)]


@pytest.mark.slow
@pytest.mark.parametrize('repository', list(TOYS))
def test_loads_where_mmkd_cannot_be_imported(
    run, export, tmp_path, repository
):
    config, checkpoint, masked = run(repository)
    result = export(config, checkpoint)
    assert result.folder == tmp_path / 'compact'
    images = torch.randn(2, 3, 64, 64)
    torch.save(images, tmp_path / 'images')
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(result.folder)]
        + [str(tmp_path / name) for name in ('images', 'outputs')],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = flat(torch.load(tmp_path / 'outputs'))
    small = standalone_loader.load(result.folder)
    with torch.no_grad():
        same = flat(small(images, None, mode='tensor'))
        wanted = flat(masked(images, None, mode='tensor'))
    for one, two, three in zip(found, same, wanted, strict=True):
        assert torch.equal(one, two)
        assert (one - three).abs().max() <= 1e-5 * three.abs().max()


def test_files_and_table(run, export, capsys):
    pytest.importorskip('onnxruntime')
    config, checkpoint, network = run()
    result = export(config, checkpoint, '--onnx')
    names = {path.name for path in result.folder.iterdir()}
    assert names == {
        'compact.pth',
        'compact.onnx',
        'plan.json',
        'loader.py',
        'report.json',
        'compact_config.py',
    }
    saved = torch.load(result.folder / 'compact.pth', weights_only=True)
    plan = json.loads((result.folder / 'plan.json').read_text())
    assert saved['meta']['pruning_plan'] == plan
    assert list(saved['state_dict']) == list(network.state_dict())
    entry = plan['modules']['backbone.layer1.0.conv1']
    assert entry['out_channels'][0] == 8
    assert len(entry['keep_out']) == entry['out_channels'][1] < 8
    assert saved['meta']['source_checkpoint'] == 'masked.pth'
    assert saved['meta']['max_relative_error'] <= 1e-5
    onnx = pytest.importorskip('onnx')
    graph = onnx.load(str(result.folder / 'compact.onnx')).graph
    operators = {node.op_type for node in graph.node}
    assert not any('Scatter' in name for name in operators)
    source = (result.folder / 'loader.py').read_text()
    assert 'mmkd' not in source
    text = capsys.readouterr().out
    for word in ('parameters', 'FLOPs', 'papers count', 'time', 'ONNX'):
        assert word in text
    report = json.loads((result.folder / 'report.json').read_text())
    before, after = report['compaction']['parameters']
    assert after == sum(p.numel() for p in _parameters(saved, network))
    assert before > after
    assert set(report['cpu_times']) == {'dense', 'masked', 'compact'}


def _parameters(saved, network):
    names = dict(network.named_parameters())
    return [v for k, v in saved['state_dict'].items() if k in names]


def test_file_shrinks_with_the_parameters(run, export):
    config, checkpoint, _ = run('mmpretrain', rate=0.6)
    result = export(config, checkpoint)
    saved = torch.load(result.folder / 'compact.pth', weights_only=True)
    stored = sum(
        value.untyped_storage().nbytes()
        for value in saved['state_dict'].values()
    )
    needed = sum(
        value.numel() * value.element_size()
        for value in saved['state_dict'].values()
    )
    assert stored == needed


def test_checkpoint_of_a_distiller(toy, tool, tmp_path):
    config = Config.fromfile(toy.distiller)
    distiller = MODELS.build(config.model)
    mask_at_random(distiller.student)
    checkpoint = tmp_path / 'distiller.pth'
    torch.save(dict(state_dict=distiller.state_dict()), checkpoint)
    result = tool('prune_export').main(
        [str(toy.distiller), str(checkpoint), '--rounds', '0']
        + ['--input-shape', '3', '32', '32']
    )
    loaded = standalone_loader.load(result.folder)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        one, two = loaded(images), distiller.student.eval()(images)
    assert (one - two).abs().max() <= 1e-5 * two.abs().max()


def test_peer_of_a_cohort(cohort_config, tool, tmp_path):
    config = Config.fromfile(cohort_config)
    distiller = MODELS.build(config.model)
    for seed, peer in enumerate(distiller.cohort.peers):
        mask_at_random(peer, seed=seed)
    checkpoint = tmp_path / 'cohort.pth'
    torch.save(dict(state_dict=distiller.state_dict()), checkpoint)
    arguments = [str(cohort_config), str(checkpoint), '--rounds', '0']
    arguments += ['--input-shape', '3', '32', '32', '--peer', '1']
    result = tool('prune_export').main(arguments)
    loaded = standalone_loader.load(result.folder)
    images = torch.randn(2, 3, 32, 32)
    wanted = distiller.cohort.peers[1].eval()
    with torch.no_grad():
        one, two = flat(loaded(images)), flat(wanted(images))
    assert (one[0] - two[0]).abs().max() <= 1e-5 * two[0].abs().max()


def test_recalibration_is_reported_as_another_model(run, export, capsys):
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 8, size=(32, 32)),
    )
    config, checkpoint, masked = run(train_dataloader=loader)
    result = export(config, checkpoint, '--recalibrate', 2)
    assert result.recalibrated == 2
    assert result.recalibration_change > 1e-3
    assert 'ANOTHER MODEL' in capsys.readouterr().out
    saved = torch.load(result.folder / 'compact.pth', weights_only=True)
    assert saved['meta']['bn_recalibrated_on_batches'] == 2


def test_fewer_zeros_than_the_config_promises(run, export, capsys):
    hook = dict(
        type='mmkd.SoftFilterPruningHook',
        pruning_rate=0.5,
        layer_rates={'layer1': 0.2},
    )
    config, checkpoint, _ = run(rate=0.3, default_hooks=dict(pruning=hook))
    result = export(config, checkpoint)
    assert result.missing['backbone.conv1'] == (2, 4)
    assert result.missing['backbone.layer4.0.conv1'] == (19, 32)
    assert not any('layer1' in name for name in result.missing)
    text = capsys.readouterr().out
    assert 'warning: 13 layers have fewer zero filters than the pr' in text
    assert '  backbone.conv1              2         4\n' in text


@pytest.mark.slow
def test_compact_network_through_its_config(run, tool, tmp_path):
    in_order = dict(type='DefaultSampler', shuffle=False)

    def loader(split):
        data = toy_dataset('classification', 8, size=(32, 32), split=split)
        return dict(
            batch_size=4, num_workers=0, sampler=in_order, dataset=data
        )

    metric = dict(type='Accuracy', topk=(1,))
    optimizer = dict(type='SGD', lr=0.0)
    config, checkpoint, _ = run(
        train_dataloader=loader('train'),
        val_dataloader=loader('val'),
        test_dataloader=loader('val'),
        val_evaluator=metric,
        test_evaluator=metric,
        optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        test_cfg=dict(),
        custom_hooks=[
            dict(type='mmkd.StepSeedHook'),
            dict(type='mmkd.SoftFilterPruningHook', pruning_rate=0.3),
        ],
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook',
                interval=1,
                save_best='pruned/accuracy/top1',
            )
        ),
    )
    folder = (
        tool('prune_export')
        .main(
            [str(config), str(checkpoint), '--rounds', '0']
            + ['--input-shape', '3', '32', '32']
        )
        .folder
    )
    compact = folder / 'compact_config.py'
    found = Config.fromfile(compact)
    assert [h.type for h in found.custom_hooks] == ['mmkd.StepSeedHook']
    assert found.default_hooks.checkpoint.save_best == 'accuracy/top1'

    def test(*arguments):
        options = ['--work-dir', tmp_path / arguments[0].stem]
        return tool('test').main([str(arg) for arg in (*arguments, *options)])

    expected = test(config, checkpoint)
    assert test(compact, folder / 'compact.pth') == expected
    tool('train').main([str(compact), '--work-dir', str(tmp_path / 'tuned')])
    tuned = torch.load(tmp_path / 'tuned' / 'epoch_1.pth', weights_only=False)
    start = torch.load(folder / 'compact.pth', weights_only=True)
    assert list(tuned['state_dict']) == list(start['state_dict'])
    for name, value in start['state_dict'].items():
        if 'running' not in name and 'tracked' not in name:
            assert torch.equal(tuned['state_dict'][name], value)


def test_residual_scatter_and_divisor(run, export):
    config, checkpoint, _ = run()
    plain = export(config, checkpoint).compaction.parameters[1]
    smaller = export(config, checkpoint, '--residual', 'scatter')
    assert smaller.compaction.parameters[1] < plain
    loaded = standalone_loader.load(smaller.folder)
    norms = [type(m).__name__ for m in loaded.modules()]
    assert 'ScatterNorm' in norms
    wider = export(config, checkpoint, '--divisor', 4)
    assert wider.compaction.parameters[1] > plain


def test_mistakes_give_one_line_and_no_files(run, tool, error_line, tmp_path):
    main = tool('prune_export').main
    config, checkpoint, _ = run(rate=0.0)
    shape = ['--input-shape', '3', '64', '64']
    line = error_line(main, config, checkpoint, *shape)
    assert 'no filter of the network is zero' in line
    line = error_line(main, config, tmp_path / 'no.pth')
    assert 'does not exist' in line
    line = error_line(main, config, checkpoint, '--recalibrate', 2, *shape)
    assert 'train_dataloader' in line
    assert not (tmp_path / 'compact').exists()
