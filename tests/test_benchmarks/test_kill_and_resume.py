"""benchmarks/kill_and_resume.py: kills, and what counts as equal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import kill_and_resume as benchmark
from benchmarks.kills.cases import CASES, CONFIGS, shortened
from benchmarks.kills.compare import differences
from benchmarks.kills.logs import Log, logged
from mmkd.checkpoints.pretrained import check_pretrained
from mmkd.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]


def write_run(folder: Path, weight: float = 1.0, loss: float = 0.5) -> Path:
    logs = folder / 'one' / 'vis_data'
    logs.mkdir(parents=True)
    record = dict(lr=0.1, loss=loss, time=torch.rand(()).item(), step=1)
    (logs / 'scalars.json').write_text(json.dumps(record) + '\n{"lr": 0.')
    content = dict(
        state_dict=dict(weight=torch.tensor([weight, float('nan')])),
        meta=dict(time=str(folder), iter=1),
        message_hub=dict(runtime_info=dict(last_ckpt=f'{folder}/a.pth')),
    )
    torch.save(content, folder / 'iter_1.pth')
    return folder


def test_equal_runs_may_differ_in_clocks_and_places(tmp_path):
    one, two = write_run(tmp_path / 'a'), write_run(tmp_path / 'b')
    assert list(differences(one, two)) == []


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (dict(weight=1.0 + 2**-23), 'iter_1.pth: state_dict: weight: tensors'),
        (dict(loss=0.5 + 2**-53), "log of ('train', 1)"),
    ],
)
def test_one_bit_is_found(tmp_path, change, found):
    one, two = write_run(tmp_path / 'a'), write_run(tmp_path / 'b', **change)
    (text,) = differences(one, two)
    assert text.startswith(found)


def test_every_life_counts(tmp_path):
    """What was logged before a kill is compared, too."""
    one, two = write_run(tmp_path / 'a'), write_run(tmp_path / 'b')
    later = two / 'two' / 'vis_data'
    later.mkdir(parents=True)
    log = Log(two)
    assert log.last_step() == 0
    lines = [dict(lr=0.1, loss=0.4, step=1), dict(lr=0.1, loss=0.5, step=2)]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (later / 'scalars.json').write_text(text)
    assert log.last_step() == 2
    assert [r['loss'] for r in logged(two)[('train', 1)]] == [0.5, 0.4]
    found = list(differences(one, two))
    assert any(text.startswith('logged steps') for text in found)
    assert any(text.startswith("log of ('train', 1)") for text in found)


def test_every_method_has_a_toy_run():
    folders = {path.parent.name for path in CONFIGS.glob('*/metafile.yml')}
    left = folders - {name.split('/')[0] for name in CASES.values()}
    # CIRKD is in quickstart, transfer trains plain networks, stages consist
    # of runs of the others
    assert left == {'cirkd', 'transfer', 'stages'}
    assert all((CONFIGS / f'{name}.py').is_file() for name in CASES.values())


@pytest.mark.parametrize('mid_epoch', [False, True])
def test_toy_runs_are_short_and_save_often(tmp_path, mid_epoch):
    config = shortened('mcl/toy_mcl_x2', 16, 2, tmp_path, mid_epoch=mid_epoch)
    loader = config.train_dataloader
    assert loader.dataset.num_samples == 4 * loader.batch_size
    assert loader.sampler.batch_size == loader.batch_size
    assert loader.num_workers == 2
    assert config.train_cfg == dict(
        by_epoch=True, max_epochs=4, val_interval=1
    )
    checkpoint = config.default_hooks.checkpoint
    assert checkpoint.by_epoch is not mid_epoch
    assert checkpoint.interval == (2 if mid_epoch else 1)


def test_teachers_get_weights(tmp_path):
    config = shortened('quickstart/cirkd', 8, 0, tmp_path, mid_epoch=False)
    assert Path(config.model.teacher.checkpoint).is_file()
    assert config.train_cfg.max_iters == 8


@pytest.mark.parametrize(
    ('method', 'known'),
    [
        ('SSKD, CRD benchmark', 'aux_heads.embeds_t'),
        ('FT, CRD benchmark', 'losses.paraphrase.paraphraser'),
        ('HSAKD', 'aux_heads.joint'),
    ],
)
def test_second_phases_find_a_first_one(tmp_path, method, known):
    config = shortened(CASES[method], 8, 0, tmp_path, mid_epoch=False)
    assert 'stages' not in config
    model = MODELS.build(config.model)
    check_pretrained(model)
    model.init_weights()
    states = [
        torch.load(path)['state_dict'] for path in tmp_path.glob('*.pth')
    ]
    assert any(key.startswith(known) for state in states for key in state)


def test_report():
    part = dict(kills=3, in_saves=1, differences=[])
    result = dict(method='MCL', workers0=part, workers2=dict(part))
    assert benchmark.is_exact(result)
    line = benchmark.describe(result)
    assert '3 kills (1 in saves), 2 workers: equal' in line
    rows = benchmark.table([result]).splitlines()
    assert rows[2] == '| MCL | `` | 3 (1) | 3 (1) | yes |'
    result['workers2']['differences'] = ['iter_1.pth: weight']
    assert not benchmark.is_exact(result)
    assert 'DIFFERENT; iter_1.pth: weight' in benchmark.describe(result)
    assert not benchmark.is_exact(dict(method='MCL', error='no memory'))


@pytest.mark.slow
@pytest.mark.parametrize('method', ['classification baseline', 'CIRKD', 'PCL'])
def test_killed_runs_end_alike(tmp_path, method):
    """The short form of the benchmark, in a process of its own."""
    out = tmp_path / 'kills.json'
    command = [sys.executable, '-m', 'benchmarks.kill_and_resume', method]
    done = subprocess.run(
        [*command, '--kills=4', '--steps=8', f'--json={out}'],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(out.read_text())
    assert result['workers0']['kills'] + result['workers2']['kills'] >= 2
    assert result['workers0']['differences'] == []
    assert result['workers2']['differences'] == []
