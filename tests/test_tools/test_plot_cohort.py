"""tools/plot_cohort.py on toy networks and a toy cohort."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_dataset

pytest.importorskip('mmpretrain')


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    """A network and a cohort of two with weights, and a data config."""
    stem = tmp_path.name
    paths = SimpleNamespace(
        folder=tmp_path,
        out=tmp_path / 'pictures' / 'picture.png',
        data=tmp_path / f'data_{stem}.py',
        plain=(tmp_path / f'plain_{stem}.py', tmp_path / 'plain.pth'),
        cohort=(tmp_path / f'cohort_{stem}.py', tmp_path / 'cohort.pth'),
    )
    spec = toy_classifier(width=4)
    Config(dict(model=spec)).dump(paths.plain[0])
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[spec, spec]),
    )
    Config(dict(model=model)).dump(paths.cohort[0])
    states = [build_network(spec).state_dict() for _ in range(2)]
    torch.save(dict(state_dict=states[1]), paths.plain[1])
    both = {
        f'cohort.peers.{k}.{key}': value
        for k, state in enumerate(states)
        for key, value in state.items()
    }
    torch.save(dict(state_dict=both), paths.cohort[1])
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_dataset('classification', 24, size=(32, 32), split='val'),
    )
    Config(dict(default_scope='mmpretrain', val_dataloader=loader)).dump(
        paths.data
    )
    return paths


def run(main, *args: object) -> None:
    main([str(arg) for arg in args])


def picture(files: SimpleNamespace) -> np.ndarray:
    image = cv2.imread(str(files.out))
    assert image.std() > 5  # something is drawn
    return image


def networks(files: SimpleNamespace) -> list[object]:
    return ['--network', 'same', *files.plain, '--cohort', *files.cohort]


@pytest.mark.parametrize('measure', ['cka', 'cosine', 'agreement'])
def test_similarity(files, tool, capsys, measure):
    main = tool('plot_cohort').main
    options = ('--measure', measure, '--out', files.out)
    run(main, 'similarity', files.data, *networks(files), *options)
    *_, one, two, three, path = capsys.readouterr().out.splitlines()
    rows = [text.split() for text in (one, two, three)]
    assert [row[0] for row in rows] == ['same', 'peer0', 'peer1']
    matrix = np.array([row[1:] for row in rows], float)
    assert matrix[0, 2] == matrix[2, 0] == 1.0  # plain.pth is peer 1
    assert matrix[0, 1] == matrix[1, 2] < 1.0
    assert path == str(files.out)
    picture(files)


def test_maps(files, tool):
    main = tool('plot_cohort').main
    options = ('--classes', '0-2', '--out', files.out)
    run(main, 'maps', files.data, *networks(files), *options)
    image = picture(files)
    assert image.shape[1] > 2 * image.shape[0]  # three panels


def test_sizes(files, tool, capsys):
    """Parameters of every peer, its last value; an error without peers."""
    log = files.folder / 'scalars.json'
    lines = [
        {'peer0/acc': 1.0, 'peer1/acc': 2.0, 'peers/acc': 3.0, 'step': k}
        for k in (1, 2)
    ]
    log.write_text('\n'.join(json.dumps(line) for line in lines))
    network = build_network(toy_classifier(width=4))
    count = sum(p.numel() for p in network.parameters()) / 1e3
    options = ('--cohort', files.cohort[0], log, '--out', files.out)
    main = tool('plot_cohort').main
    run(main, 'sizes', *options, '--metric', 'acc')
    assert capsys.readouterr().out.splitlines()[:2] == [
        f'peer0: {count:.1f} k parameters, 1.00',
        f'peer1: {count:.1f} k parameters, 2.00',
    ]
    picture(files)
    log.write_text('{"acc": 1.0, "step": 1}')
    with pytest.raises(SystemExit):
        run(main, 'sizes', *options, '--metric', 'acc')
    assert 'has no peer0/acc: evaluate the peers' in capsys.readouterr().err


def test_curves(files, tool, capsys):
    scalars = files.folder / 'run' / '1' / 'vis_data' / 'scalars.json'
    scalars.parent.mkdir(parents=True)
    lines = [
        {'peer0/acc': 1.0 * k, 'peer1/acc': 2.0 * k, 'step': k}
        for k in range(1, 4)
    ]
    scalars.write_text('\n'.join(json.dumps(line) for line in lines))
    run_folder = files.folder / 'run'
    options = ('--metric', 'acc', '--out', files.out)
    main = tool('plot_cohort').main
    run(main, 'curves', run_folder, f'again={run_folder}', *options)
    assert capsys.readouterr().out.splitlines()[:3] == [
        'run, peer0: 3.00 at 3',
        'run, peer1: 6.00 at 3',
        'again, peer0: 3.00 at 3',
    ]
    image = picture(files)
    assert image.shape[1] > 2 * image.shape[0]  # two panels


def test_mistakes_give_one_line(files, tool, error_line):
    main = tool('plot_cohort').main
    line = error_line(main, 'curves', files.folder / 'nothing')
    assert 'nothing" has no log' in line
    line = error_line(main, 'maps', files.data)
    assert 'at least one network' in line
    twice = ['--network', 'a', *files.plain] * 2
    line = error_line(main, 'maps', files.data, *twice)
    assert "['a', 'a']" in line
    line = error_line(main, 'maps', files.data, '--cohort', *files.plain)
    assert 'its model is no cohort; give a plain network' in line


def test_scores(files, tool, capsys):
    scalars = files.folder / 'run' / '1' / 'vis_data' / 'scalars.json'
    scalars.parent.mkdir(parents=True)
    lines = [
        {
            f'peer{k}.score_{kind}': 0.5 + sign * 0.1 * step,
            'step': step,
            'loss': 1.0,
        }
        for step in (1, 2, 3)
        for k in (0, 1)
        for kind, sign in (('real', 1), ('fake', -1))
    ]
    scalars.write_text('\n'.join(json.dumps(line) for line in lines))
    main = tool('plot_cohort').main
    folder = files.folder / 'run'
    run(main, 'scores', folder, '--window', 2, '--out', files.out)
    assert capsys.readouterr().out.splitlines()[:2] == [
        'run, peer0: real 0.750, fake 0.250',
        'run, peer1: real 0.750, fake 0.250',
    ]
    assert picture(files).shape[1] > 2 * picture(files).shape[0]
    with pytest.raises(SystemExit):
        run(main, 'scores', folder, folder, '--out', files.out)
    assert "two runs are called 'run'" in capsys.readouterr().err
    scalars.write_text('{"loss": 1.0, "step": 1}')
    with pytest.raises(SystemExit):
        run(main, 'scores', folder, '--out', files.out)
    assert 'a run of mmkd.AdversarialFeatureExchange' in (
        capsys.readouterr().err
    )
