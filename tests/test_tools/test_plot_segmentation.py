"""tools/plot_segmentation.py: IoU per class and strips."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

pytest.importorskip('mmseg')
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.visualization import plot_class_bars  # noqa: E402

CONFIG = 'mmkd::quickstart/student.py'


@pytest.fixture
def networks(tmp_path: Path) -> list[str]:
    """Two untrained ones."""
    options = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for name in ('one', 'two'):
            network = build_network(load_config(CONFIG).model)
            path = tmp_path / f'{name}.pth'
            torch.save(network.state_dict(), path)
            options += ['--network', name, CONFIG, str(path)]
    return options


def test_table_bars_and_strips(
    tool: Any, networks: list[str], tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / 'pictures'
    options = ['--images', '2', '0', '--limit', '3', '--out', str(out)]
    tool('plot_segmentation').main([CONFIG, *networks, *options])
    files = capsys.readouterr().out.split()
    assert [Path(f).name for f in files[-3:]] == [
        'iou_per_class.csv', 'iou_per_class.png', 'strips.png'
    ]  # fmt: skip
    with (out / 'iou_per_class.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['network'] for row in rows] == ['one', 'two']
    for row in rows:
        means = [float(row.pop(f'mIoU_{k}')) for k in ('all', 'present')]
        row.pop('network')
        values = [float(value) for value in row.values()]
        known = [value for value in values if value == value]
        assert means[0] == pytest.approx(sum(known) / len(values), abs=0.02)
        assert means[1] == pytest.approx(sum(known) / len(known), abs=0.02)
    height, width = cv2.imread(str(out / 'strips.png')).shape[:2]
    assert 1.2 < width / height < 2.2  # four columns, two rows, a legend


def test_iou_equals_the_metric(networks: list[str], tmp_path: Path) -> None:
    from mmseg.evaluation.metrics import IoUMetric

    from mmkd.evaluation.features import data_loader
    from mmkd.results.segmentation_pictures import evaluate, predict

    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = data_loader(load_config(CONFIG), 'val').dataset
        network = build_network(load_config(CONFIG).model).eval()
        classes = dataset.metainfo['classes']
        found = evaluate(network, dataset, range(3), [1], len(classes))
        metric = IoUMetric()
        metric.dataset_meta = dataset.metainfo
        for k in range(3):
            metric.process({}, [predict(network, dataset[k])[0].to_dict()])
        wanted = metric.evaluate(3)['mIoU']
    assert float(found.iou.nanmean()) == pytest.approx(wanted, abs=0.006)
    assert list(found.maps) == [1]


def test_mistakes(
    tool: Any, networks: list[str], tmp_path: Path, capsys: Any
) -> None:
    main = tool('plot_segmentation').main
    with pytest.raises(SystemExit):
        main([CONFIG, *networks, '--images', '9', '--limit', '3'])
    assert '--images 9: the' in capsys.readouterr().err
    with pytest.raises(ValueError, match='there are 3 classes'):
        plot_class_bars(dict(a=[1.0, 2.0]), 'xyz', tmp_path / 'x.png', 'IoU')
