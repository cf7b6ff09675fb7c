"""The CamVid converter on small fake downloads and on the real names."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmkd.datasets.converters import (
    convert_camvid,
    convert_original,
    split_of_frame,
)
from mmkd.datasets.converters.camvid import COLORS

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/camvid.py'


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(path)


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def segnet(tmp_path):
    root = tmp_path / 'SegNet' / 'CamVid'
    for value, split in enumerate(('train', 'val', 'test')):
        save(root / split / 'frame.png', np.full((4, 6, 3), 50 + value))
        save(root / f'{split}annot' / 'frame.png', np.full((4, 6), 9 + value))
    return root


@pytest.fixture
def original(tmp_path):
    """Two frames in 2x2 blocks; the labels hold all 32 colours."""
    root = tmp_path / 'original'
    colors = [c for group in COLORS.values() for c in group.values()]
    labels = np.zeros((720, 960, 3), dtype=np.uint8)
    for column, color in enumerate(colors):
        labels[:, 2 * column : 2 * column + 2] = color
    for name in ('0001TP_006690', 'Seq05VD_f00030'):
        image = np.random.default_rng(0).integers(0, 256, (720, 960, 3))
        save(root / '701_StillsRaw_full' / f'{name}.png', image)
        save(root / 'LabeledApproved_full' / f'{name}_L.png', labels)
    return root


def test_segnet_release(segnet, tmp_path):
    out = tmp_path / 'out'
    assert convert_camvid(segnet.parent, out) == dict(train=1, val=1, test=1)
    for value, split in enumerate(('train', 'val', 'test')):
        assert (read(out / 'images' / split / 'frame.png') == 50 + value).all()
        label = read(out / 'annotations' / split / 'frame.png')
        assert label.shape == (4, 6)
        assert (label == 9 + value).all()


def test_original_is_grouped_and_halved(original, tmp_path):
    out = tmp_path / 'out'
    assert convert_camvid(original, out) == dict(train=1, test=1)
    label = read(out / 'annotations/test/Seq05VD_f00030.png')
    groups = [i for i, group in COLORS.items() for _ in group]
    assert len(groups) == 32
    assert label.shape == (360, 480)
    assert label[100, :32].tolist() == groups
    assert (label[:, 32:] == 11).all()
    image = read(out / 'images/train/0001TP_006690.png')
    source = read(original / '701_StillsRaw_full/0001TP_006690.png')
    blocks = source.reshape(360, 2, 480, 2, 3).mean((1, 3))
    assert np.abs(image - blocks).max() <= 1  # rounded per direction


def test_original_with_own_lists(original, tmp_path):
    lists = tmp_path / 'lists'
    lists.mkdir()
    (lists / 'train.txt').write_text('/x/train/Seq05VD_f00030.png\n')
    (lists / 'val.txt').write_text('0001TP_006690\n\n')
    (lists / 'test.txt').write_text('')
    out = tmp_path / 'out'
    assert convert_camvid(original, out, lists) == dict(train=1, val=1)
    assert (out / 'images/train/Seq05VD_f00030.png').is_file()

    (lists / 'val.txt').write_text('')
    with pytest.raises(ValueError, match="'0001TP_006690' is in none"):
        convert_camvid(original, out, lists)
    (lists / 'test.txt').unlink()
    with pytest.raises(FileNotFoundError, match='test.txt does not exist'):
        convert_camvid(original, out, lists)


def test_few_unknown_colours_are_void_many_are_an_error(original, tmp_path):
    path = original / 'LabeledApproved_full' / 'Seq05VD_f00030_L.png'
    label = read(path).copy()
    label[:8, -8:] = (1, 2, 3)
    save(path, label)
    folders = (path.parents[1] / '701_StillsRaw_full', path.parent)
    convert_original(*folders, tmp_path / 'out')
    out = read(tmp_path / 'out/annotations/test/Seq05VD_f00030.png')
    assert (out[:4, -4:] == 11).all()

    label[:] = (1, 2, 3)
    save(path, label)
    with pytest.raises(ValueError, match=r'100% .*\(1, 2, 3\)'):
        convert_original(*folders, tmp_path / 'out')


def test_errors_of_the_segnet_release(segnet, tmp_path):
    (segnet / 'valannot' / 'frame.png').unlink()
    with pytest.raises(FileNotFoundError, match='valannot.frame.png'):
        convert_camvid(segnet, tmp_path / 'out')
    save(segnet / 'valannot' / 'frame.png', np.zeros((4, 6, 3)))
    with pytest.raises(ValueError, match='expected one channel'):
        convert_camvid(segnet, tmp_path / 'out')
    with pytest.raises(FileNotFoundError, match='not a download of CamVid'):
        convert_camvid(tmp_path / 'nowhere', tmp_path / 'out')


def test_unknown_frame_name():
    with pytest.raises(ValueError, match='--split-dir'):
        split_of_frame('0016E6_00390')


def test_split_rule_reproduces_the_segnet_lists(data_root):
    images = data_root / 'camvid' / 'images'
    counts = {}
    for split in ('train', 'val', 'test'):
        names = [path.stem for path in (images / split).iterdir()]
        assert {split_of_frame(name) for name in names} == {split}
        counts[split] = len(names)
    assert counts == dict(train=367, val=101, test=233)


def test_command_line(segnet, tmp_path, monkeypatch, capsys):
    def run(*args):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    printed = run(segnet, tmp_path / 'out')
    assert printed == 'train: 1 images\nval: 1 images\ntest: 1 images\n'
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / 'nothing', tmp_path / 'out')
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith('error: ')


def test_label_without_image_in_the_segnet_release(segnet, tmp_path):
    save(segnet / 'valannot' / 'lonely.png', np.zeros((4, 6)))
    words = r'1 labels have no image .*lonely\.png'
    with pytest.raises(FileNotFoundError, match=words):
        convert_camvid(segnet, tmp_path / 'out')
