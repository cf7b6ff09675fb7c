"""tools/linear_eval.py and tools/few_shot_eval.py, also on real images."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_dataset

pytest.importorskip('mmpretrain')


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    """A network, its weights, and a data config, on disk."""
    stem = tmp_path.name
    paths = SimpleNamespace(
        folder=tmp_path,
        network=tmp_path / f'network_{stem}.py',
        checkpoint=tmp_path / 'network.pth',
        data=tmp_path / f'data_{stem}.py',
    )
    network = toy_classifier(width=4)
    Config(dict(model=network)).dump(paths.network)
    built = build_network(network)
    built.init_weights()
    torch.save(dict(state_dict=built.state_dict()), paths.checkpoint)

    def loader(split: str, count: int) -> dict:
        return dict(
            batch_size=8,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=toy_dataset(
                'classification', count, size=(32, 32), split=split
            ),
        )

    Config(
        dict(
            default_scope='mmpretrain',
            train_dataloader=loader('train', 24),
            test_dataloader=loader('test', 120),
        )
    ).dump(paths.data)
    return paths


def arguments(files: SimpleNamespace, *more: object) -> list[str]:
    given = (files.network, files.checkpoint, files.data, *more)
    return [str(value) for value in given]


def test_linear_eval(files, tool, capsys):
    out = files.folder / 'results' / 'linear.json'
    options = ('--epochs', 3, '--milestones', 2, '--lr', 0.5, '--out', out)
    result = tool('linear_eval').main(arguments(files, *options))
    written = json.loads(out.read_text())
    assert written['top1'] == result.top1
    assert len(result.top1) == 3
    assert written['protocol']['milestones'] == [2]
    assert written['protocol']['lr'] == 0.5
    assert written['protocol']['batch_size'] == 64
    assert result.classifier.weight.shape[1] == 32
    line = capsys.readouterr().out.splitlines()[-1]
    assert f'last epoch: top-1 {result.top1[-1]:.2f}' in line
    assert '(120 test images)' in line


@pytest.mark.slow
def test_linear_eval_with_training_transforms(files, tool):
    module = tool('linear_eval')
    config = Config.fromfile(files.data)
    steps = config.train_dataloader.dataset.pipeline
    steps.insert(1, dict(type='RandomErasing', erase_prob=1.0))
    config.dump(files.data)
    runs = [
        module.main(arguments(files, '--epochs', 2, *more)).loss
        for more in ([], ['--augment'], ['--augment'])
    ]
    assert runs[0] != runs[1]
    assert runs[1] == runs[2]


def test_few_shot_eval(files, tool, capsys):
    out = files.folder / 'few.json'
    options = ('--ways', 2, '--shots', 1, 2, '--queries', 1, '--episodes', 20)
    main = tool('few_shot_eval').main
    results = main(arguments(files, *options, '--out', out))
    assert set(results) == {1, 2}
    written = json.loads(out.read_text())
    assert written['2-way 2-shot']['mean'] == results[2].mean
    first = capsys.readouterr().out.splitlines()[-2]
    expected = f'2-way 1-shot: {results[1].mean:.2f} +- '
    assert first.startswith(expected + f'{results[1].interval:.2f} %')


def test_mistakes_give_one_line(files, tool, error_line):
    few, linear = tool('few_shot_eval').main, tool('linear_eval').main
    line = error_line(few, *arguments(files, '--classes', 'unicorn'))
    assert '"unicorn"' in line
    line = error_line(linear, *arguments(files, '--epochs', 0))
    assert 'epochs=0' in line
    torch.save(dict(state_dict=dict(a=torch.ones(1))), files.checkpoint)
    line = error_line(linear, *arguments(files))
    assert 'no key matches' in line
    files.checkpoint.unlink()
    line = error_line(few, *arguments(files))
    assert 'network.pth' in line and 'does not exist' in line
    files.data.write_text('default_scope = "mmpretrain"\n')
    torch.save(
        dict(state_dict=build_network(toy_classifier(4)).state_dict()),
        files.checkpoint,
    )
    line = error_line(linear, *arguments(files))
    assert 'no val_dataloader' in line


def real_images(root: Path) -> dict:
    def loader(folder: str) -> dict:
        return dict(
            batch_size=64,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='CustomDataset',
                data_root=str(root / 'imagenette'),
                data_prefix=folder,
                with_label=True,
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=32),
                    dict(type='PackInputs'),
                ],
            ),
        )

    return dict(
        default_scope='mmpretrain',
        data_preprocessor=dict(
            mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], to_rgb=True
        ),
        train_dataloader=loader('train'),
        test_dataloader=loader('val'),
    )


@pytest.mark.slow
def test_real_images(files, tool, data_root):
    if not (data_root / 'imagenette').is_dir():
        pytest.skip('MMKD_DATA has no imagenette')
    Config(real_images(data_root)).dump(files.data)
    linear = tool('linear_eval').main(arguments(files, '--lr', 1))
    assert linear.top1[-1] > 13.0  # chance is 10 %
    assert linear.loss[-1] < linear.loss[0]
    few = tool('few_shot_eval').main(arguments(files, '--shots', 5))
    assert few[5].mean > 21.0  # chance is 20 %
    assert 0.1 < few[5].interval < 1.0
