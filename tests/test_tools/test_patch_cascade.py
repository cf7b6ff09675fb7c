"""tools/patch_cascade.py and tools/plot_patches.py on the toy cascade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmpretrain')
import cv2  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.evaluation.early_exit import apply_thresholds  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.results.cascade import read_table  # noqa: E402
from mmkd.results.patch_explanation import explain  # noqa: E402
from mmkd.visualization.patches import plot_exits  # noqa: E402
from tests.support.patch_networks import build, cascade, images  # noqa: E402

CONFIG = 'mmkd::anchornet/toy_dynamic.py'
PARTS = dict(
    proposal='toy_proposal', global_net='toy_global', patch_net='toy_patch'
)
IMAGES = 12


@pytest.fixture(scope='module')
def options(tmp_path_factory: Any) -> list[str]:
    """Arguments that name untrained files of the three networks."""
    folder = tmp_path_factory.mktemp('parts')
    found = ['--cfg-options', f'test_dataloader.dataset.num_samples={IMAGES}']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for part, name in PARTS.items():
            torch.manual_seed(len(part))
            model = read_config(f'mmkd::anchornet/{name}.py').model
            if part == 'patch_net':
                model = read_config('mmkd::anchornet/toy_full.py').model
            network = build_network(model)
            network.head.fc.weight.data.normal_(std=0.5)
            torch.save(network.state_dict(), folder / f'{name}.pth')
            found.append(f'model.{part}.checkpoint={folder / name}.pth')
    return found


@pytest.fixture(scope='module')
def joined(options: list[str], tmp_path_factory: Any) -> Path:
    from mmkd.results.cascade import assemble

    out = tmp_path_factory.mktemp('joined') / 'cascade.pth'
    pairs = dict(pair.split('=', 1) for pair in options[1:])
    assert assemble(read_config(CONFIG, pairs), out) > 100
    return out


def test_table_search_curve(
    tool: Any, joined: Path, options: list[str], tmp_path: Path, capsys: Any
) -> None:
    main = tool('patch_cascade').main
    table = tmp_path / 'table.npz'
    main(['table', CONFIG, str(joined), str(table), *options])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:][0].startswith('all leave at stage 1: top-1')
    content, costs = read_table(table)
    assert content.confidence.shape == (IMAGES, 3)
    assert costs is not None
    main(['search', str(table), '--budget', str(costs[1]),
          '--report', str(table)])  # fmt: skip
    searched, applied, limits = capsys.readouterr().out.splitlines()[-3:]
    assert searched.partition(': ')[2] == applied.partition(': ')[2]
    values = [float(v) for v in limits.partition('[')[2][:-1].split(', ')]
    found = apply_thresholds(content, values, costs)
    assert found.cost <= costs[1]
    out, text = tmp_path / 'curve.png', tmp_path / 'curve.json'
    main(['curve', str(table), '--thresholds', '0.5', '0.5', '0',
          '--out', str(out), '--json', str(text)])  # fmt: skip
    assert cv2.imread(str(out)) is not None
    numbers = json.loads(text.read_text())
    assert [len(numbers[k]) for k in ('fixed', 'dynamic')] == [3, 1]


def test_latency(
    tool: Any, joined: Path, options: list[str], capsys: Any
) -> None:
    dense = ['--dense', 'mmkd::anchornet/toy_full.py', '--rounds', '1']
    tool('patch_cascade').main(
        ['latency', CONFIG, str(joined), *dense, '--batch-size', '4', *options]
    )
    lines = capsys.readouterr().out.splitlines()[-5:]
    names = [line.partition(':')[0] for line in lines]
    assert names == ['stage 1', 'stage 2', 'stage 3', 'dynamic', 'dense']
    assert all('M multiply-adds; time' in line for line in lines)


def test_published_form_of_a_table(
    tool: Any, tmp_path: Path, capsys: Any, error_line: Any
) -> None:
    correct = np.array([[True, False], [False, True], [True, True]])
    path = tmp_path / 'published.npz'
    confidence = np.array([[0.9, 0.5], [0.4, 0.6], [0.8, 0.9]], np.float32)
    np.savez(path, confidence=confidence, correct_bits=np.packbits(correct))
    table, costs = read_table(path)
    assert costs is None
    assert table.correct.tolist() == correct.tolist()
    main = tool('patch_cascade').main
    main(['curve', str(path), '--macs', '1', '1', '0.5',
          '--thresholds', '0.7', '0'])  # fmt: skip
    line = capsys.readouterr().out.strip()
    assert line.startswith('top-1 100.00 %, 1.5000 G; exits 2 1')
    with pytest.raises(SystemExit):
        main(['curve', str(path)])
    assert '--macs FIRST PATCH PROPOSAL' in capsys.readouterr().err


def test_pictures(
    tool: Any, joined: Path, options: list[str], tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / 'pictures'
    tool('plot_patches').main(
        [
            CONFIG,
            str(joined),
            '--images',
            '3',
            '0',
            '--out',
            str(out),
            *options,
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line).name for line in lines[-2:]] == [
        'patches.png', 'exits.png',
    ]  # fmt: skip
    for file in lines[-2:]:
        assert cv2.imread(file).std() > 10


def test_parts_of_a_decision_add_up() -> None:
    network = build(cascade(exit_thresholds=[0.5, 0.6, 0.9, 0.0]))
    for image in images(4).split(1):
        found = explain(network, image)
        with torch.no_grad():
            logits, stages = network.run(image)
            proposal = network.proposal(image)[0]
        assert found.stage == int(stages[0])
        assert found.label == int(logits.argmax())
        assert found.logit == pytest.approx(float(logits.max()), abs=1e-4)
        assert found.proposed == int(proposal.argmax())
        assert found.proposal_logit == pytest.approx(float(proposal.max()))
        best = found.evidence.max()
        assert found.scores[0] == pytest.approx(best)


def test_mistakes_are_named(
    tool: Any, joined: Path, tmp_path: Path, capsys: Any
) -> None:
    main = tool('patch_cascade').main
    for arguments, message in (
        (
            ['assemble', 'mmkd::anchornet/toy_full.py', 'x.pth'],
            'is no cascade',
        ),
        (['curve', str(tmp_path / 'none.npz')], 'does not exist'),
        (['search', str(tmp_path / 'x.npz'), '--budget', '1'], 'not exist'),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool('plot_patches').main(
            [CONFIG, str(joined), '--images', '9999', '--out', str(tmp_path)]
        )
    assert 'images 0 to' in capsys.readouterr().err
    with pytest.raises(ValueError, match=r'2 counts and 1'):
        plot_exits([1, 2], [1], tmp_path / 'x.png')


def test_cascade_without_training_is_tested(
    tool: Any,
    joined: Path,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A config with training data but no schedule; equal to the table."""
    monkeypatch.chdir(tmp_path)
    tool('patch_cascade').main(
        ['table', CONFIG, str(joined), 'table.npz', *options]
    )
    table, costs = read_table('table.npz')
    wanted = apply_thresholds(table, [0.8, 0.8, 0.0], costs)
    nothing = ['train_cfg=None', 'optim_wrapper=None', 'param_scheduler=None']
    metrics = tool('test').main([CONFIG, str(joined), *options, *nothing])
    assert metrics['dynamic/top1'] == pytest.approx(100 * wanted.accuracy)
    shares = [metrics[f'dynamic/exit{k}'] for k in (1, 2, 3)]
    counts = [100 * n / IMAGES for n in wanted.stage_count]
    assert shares == pytest.approx(counts)
