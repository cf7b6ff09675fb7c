"""tools/plot_pose.py: pictures of puzzles and poses."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

pytest.importorskip('mmpose')
from mmkd.networks import build_network  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'hsjp'


@pytest.fixture
def untrained(tmp_path):
    """Checkpoint of a config's network as it is initialised."""

    def run(name):
        model = Config.fromfile(CONFIGS / f'{name}.py').model
        path = tmp_path / f'{name}.pth'
        torch.save(build_network(model).state_dict(), path)
        return str(CONFIGS / f'{name}.py'), str(path)

    return run


def test_puzzles(tool, untrained, tmp_path, capsys):
    out = tmp_path / 'pictures' / 'puzzles.png'
    arguments = ['--count', '2', '--out', str(out)]
    tool('plot_pose').main(['puzzles', *untrained('toy_hsjp'), *arguments])
    assert capsys.readouterr().out.strip().endswith(str(out))
    height, width = cv2.imread(str(out)).shape[:2]
    assert 1.5 < width / height < 2.5  # four columns, two rows


def test_poses(tool, untrained, tmp_path):
    out = tmp_path / 'poses.png'
    config, checkpoint = untrained('toy_scratch')
    networks = []
    for name in ('scratch', 'again'):
        networks += ['--network', name, config, checkpoint]
    arguments = [*networks, '--count', '1', '--start', '3', '--out', str(out)]
    tool('plot_pose').main(['poses', config, *arguments])
    height, width = cv2.imread(str(out)).shape[:2]
    assert 2 < width / height < 3.2  # three columns, one row


@pytest.mark.slow
def test_without_photos(tool, untrained, tmp_path) -> None:
    config, checkpoint = untrained('toy_scratch')
    out = tmp_path / 'poses.png'
    network = ['--network', 'scratch', config, checkpoint]
    options = ['--count', '1', '--no-photo', '--out', str(out)]
    main = tool('plot_pose').main
    main(['poses', config, *network, *options])
    grey = (cv2.imread(str(out)) == 225).all(2).mean()
    assert grey > 0.4  # the blank, but for the figure and the margins
    main(['puzzles', *untrained('toy_hsjp'), *options])
    before = cv2.imread(str(out))[:, -100:]  # the last column, in order
    red = before[60:-60, 50, 2].astype(int)
    assert (red[1:] >= red[:-1]).all() and red[-1] > red[0] + 50


def test_too_many_people(tool, untrained, error_line):
    line = error_line(
        tool('plot_pose').main,
        'puzzles',
        *untrained('toy_hsjp'),
        '--count',
        '101',
    )
    assert 'there are 100 people' in line


def test_puzzles_of_joints_and_the_reverse(tool, untrained, error_line):
    main = tool('plot_pose').main
    joints, puzzles = untrained('toy_scratch'), untrained('toy_hsjp')
    line = error_line(main, 'puzzles', *joints)
    assert 'puzzles: the network of config="' in line
    assert 'toy_scratch.py" is one for poses; give another config' in line
    network = ('--network', 'a', *puzzles)
    for config in (joints[0], puzzles[0]):
        line = error_line(main, 'poses', config, *network)
        assert 'toy_hsjp.py" is one for puzzles; give another' in line


def test_missing_checkpoint(tool, untrained, error_line):
    config, checkpoint = untrained('toy_hsjp')
    line = error_line(
        tool('plot_pose').main, 'puzzles', config, f'{checkpoint}.no'
    )
    assert 'toy_hsjp.pth.no" does not exist' in line


@pytest.mark.slow
def test_heat_maps_of_a_cohort(tool, tmp_path, error_line) -> None:
    config = Config.fromfile(CONFIGS.parent / 'okdhp' / 'toy_okdhp.py')
    config.model.cohort.peer.backbone.feat_channels = 8
    path, checkpoint = tmp_path / 'cohort.py', tmp_path / 'cohort.pth'
    config.dump(path)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(config.model)
    torch.save(model.state_dict(), checkpoint)
    out = tmp_path / 'maps.png'
    options = ['--count', '1', '--out', str(out)]
    main = tool('plot_pose').main
    main(['heatmaps', str(path), str(checkpoint), *options])
    height, width = cv2.imread(str(out)).shape[:2]
    assert 4 < width / height < 7  # crop, three peers, two ensembles
    plain = str(CONFIGS / 'toy_scratch.py')
    line = error_line(main, 'heatmaps', plain, str(checkpoint))
    assert 'toy_scratch.py" is no cohort: give the config of a pose' in line
    torch.save(model.cohort[0].state_dict(), checkpoint)
    line = error_line(main, 'heatmaps', str(path), str(checkpoint))
    assert 'cohort' in line and 'cohort.pth' in line
