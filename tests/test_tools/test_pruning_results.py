"""tools/pruning_results.py and tools/plot_pruning.py on toy runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_dataset
from tests.support.masked_networks import mask_at_random

pytest.importorskip('mmpretrain')


@pytest.fixture
def study(tmp_path: Path) -> SimpleNamespace:
    """Logs and work directory of a pruned and an unpruned run."""
    paths = SimpleNamespace(logs=tmp_path / 'logs', runs=tmp_path / 'runs')
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 20, size=(32, 32), split='val'),
    )
    for name, rate in (('baseline', 0.0), ('sfp_p50', 0.5)):
        stem = f'{name}_{tmp_path.name}'
        spec = toy_classifier()
        config = tmp_path / f'{stem}.py'
        Config(
            dict(
                default_scope='mmpretrain',
                model=spec,
                test_dataloader=loader,
                test_evaluator=dict(type='Accuracy', topk=(1,)),
            )
        ).dump(config)
        torch.manual_seed(0)
        network = mask_at_random(build_network(spec), rate)
        run = paths.runs / stem / 'seed0'
        run.mkdir(parents=True)
        torch.save(dict(state_dict=network.state_dict()), run / 'epoch_1.pth')
        (run / 'last_checkpoint').write_text(str(run / 'epoch_1.pth'))
        facts = dict(config=str(config), seed=0, minutes=1, hardware='CPU')
        log = paths.logs / stem / 'seed0.jsonl'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps(dict(step=1)) + '\n' + json.dumps(facts))
        setattr(paths, name, log.with_name('seed0_pruning.json'))
        setattr(paths, f'{name}_network', network)
    return paths


def call(main, *args: object) -> None:
    main([str(arg) for arg in args])


@pytest.mark.slow
def test_measure(study, tool, tmp_path, capsys) -> None:
    main = tool('pruning_results').main
    options = ('--rounds', 1, '--batch-size', 2)
    call(main, 'measure', study.logs, '--work-dir', study.runs, *options)
    result = json.loads(study.sfp_p50.read_text())
    assert result['compact'] == result['masked']
    assert 0 <= result['masked']['accuracy/top1'] <= 100
    assert result['max_error'] <= 1e-5
    network = study.sfp_p50_network
    assert result['parameters'] == sum(p.numel() for p in network.parameters())
    assert result['compact_parameters'] < result['parameters']
    assert result['compact_flops'] < result['flops']
    assert result['zero_share']['backbone.layer1.0.conv1'] == 0.5
    assert result['seed'] == 0 and result['hardware'] == 'CPU'
    assert set(result['cpu_ms']) == {'1', '2'}
    for times in result['cpu_ms'].values():
        assert min(times.values()) > 0
    plain = json.loads(study.baseline.read_text())
    assert 'compact' not in plain and plain['zero_weights'] == 0

    study.baseline.write_text('{"kept": 1}')  # not measured again
    capsys.readouterr()
    call(main, 'measure', study.logs)
    assert study.baseline.read_text() == '{"kept": 1}'
    assert capsys.readouterr().out == ''


@pytest.fixture
def measured(study) -> SimpleNamespace:
    """Measurements made up."""
    plain = dict(
        masked={'accuracy/top1': 72.5},
        parameters=1000,
        flops=4e6,
        zero_weights=0.0,
        hardware='CPU',
    )
    pruned = dict(
        plain,
        compact={'accuracy/top1': 72.5},
        compact_parameters=600,
        compact_flops=3e6,
        analytic_saving=0.42,
        zero_weights=0.3,
        max_error=2e-7,
        cpu_ms={
            '1': dict(dense=2.1, masked=2.0, compact=1.8),
            '64': dict(masked=20.0, compact=14.0),
        },
    )
    study.baseline.write_text(json.dumps(plain))
    study.sfp_p50.write_text(json.dumps(pruned))
    return study


def test_table(measured, tool, tmp_path, capsys) -> None:
    main = tool('pruning_results').main
    call(main, 'table', measured.logs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith('| `baseline_')
    assert lines[2].endswith('| 1 | 72.50 |  | 0.0% |  |  |  |  |  |')
    assert lines[3].endswith(
        '| 1 | 72.50 | 72.50 | 30.0% | 40.00 | 25.00 | 42.00 | 10.00 | 30.00 |'
    )
    readme = tmp_path / 'README.md'
    readme.write_text('<!-- results:logs -->\n<!-- /results:logs -->\n')
    call(main, 'table', measured.logs, '--readme', readme)
    assert lines[3] in readme.read_text()


def test_pictures(measured, tool, tmp_path, capsys) -> None:
    main = tool('plot_pruning').main
    out = tmp_path / 'pictures' / 'one.png'
    call(main, 'tradeoff', measured.logs, '--out', out)
    both = out.read_bytes()
    call(main, 'tradeoff', measured.logs, '--configs', 'sfp', '--out', out)
    assert out.read_bytes() != both
    with pytest.raises(SystemExit):
        call(main, 'tradeoff', measured.logs, '--configs', 'resnet99')
    assert 'resnet99 fits none of baseline_' in capsys.readouterr().err
    checkpoint = next(measured.runs.glob('sfp*/seed0/epoch_1.pth'))
    capsys.readouterr()
    call(main, 'zeros', f'half={checkpoint}', '--out', out)
    # 17 of the 20 convolutions; shortcuts are not masked
    assert capsys.readouterr().out.startswith('half: 42.5%, mean of 20 ')
    record = tmp_path / 'filter_norms.jsonl'
    norms = {'conv1': [1.0, 2.0], 'layer1.conv1': [1.0]}
    record.write_text(json.dumps(dict(epoch=1, norms=norms)))
    call(main, 'norms', record, '--layers', '^conv1', '--out', out)


def test_mistakes_give_one_line(study, tool, error_line, tmp_path) -> None:
    main = tool('pruning_results').main
    line = error_line(main, 'measure', tmp_path / 'none')
    assert 'the --out folder of tools/run_seeds.py' in line
    line = error_line(main, 'table', study.logs)
    assert 'first run tools/pruning_results.py measure' in line
    main = tool('plot_pruning').main
    line = error_line(main, 'norms', tmp_path)
    assert 'FilterNormsHook' in line
