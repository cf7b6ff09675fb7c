"""Indices of samples in wrapped and concatenated data sets, and banks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import DefaultScope

from mmkd.cli.runner import build_runner
from mmkd.datasets.sample_indices import count_indices, labels_by_index
from mmkd.networks import build_network
from mmkd.toys import toy_classifier, toy_dataset
from tests.support.toy_runner import Diary, make_runner

PIPELINE = [
    dict(type='mmkd.LoadScene'),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_shape')),
]


def part(num: int, split: str = 'train') -> dict[str, Any]:
    return toy_dataset(
        'classification', num_samples=num, split=split, pipeline=PIPELINE
    )


def repeated(num: int) -> dict[str, Any]:
    return dict(type='RepeatDataset', dataset=part(num), times=2)


def balanced(num: int) -> dict[str, Any]:
    return dict(
        type='ClassBalancedDataset', dataset=part(num), oversample_thr=0.9
    )


def concatenated(kind: str = 'mmkd.IndexedConcatDataset') -> dict[str, Any]:
    return dict(type=kind, datasets=[part(3), part(4, 'val')])


def built(config: dict[str, Any]) -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = ROOT_DATASETS.build(config)
    dataset.full_init()
    return dataset


def seen(dataset: Any) -> dict[int, list[torch.Tensor]]:
    """Return sample_idx -> the images that carry it, position by position."""
    found: dict[int, list[torch.Tensor]] = {}
    for position in range(len(dataset)):
        sample = dataset[position]
        index = sample['data_samples'].sample_idx
        found.setdefault(index, []).append(sample['inputs'])
    return found


def check(dataset: Any) -> None:
    """Every index stands for one image, of the class told for it."""
    images = seen(dataset)
    assert sorted(images) == list(range(count_indices(dataset)))
    firsts = [same[0] for same in images.values()]
    for same in images.values():
        assert all(torch.equal(image, same[0]) for image in same)
    for k, one in enumerate(firsts):
        assert not any(torch.equal(one, two) for two in firsts[:k])
    labels = labels_by_index(dataset, 'test')
    for position in range(len(dataset)):
        sample = dataset[position]['data_samples']
        assert labels[sample.sample_idx] == int(sample.gt_label)


@pytest.mark.parametrize('config', [part(5), repeated(5), balanced(5)])
def test_repeated_samples_keep_their_index(config: Any) -> None:
    dataset = built(config)
    check(dataset)
    assert count_indices(dataset) == 5


def test_concatenated_samples_are_counted_on() -> None:
    dataset = built(concatenated())
    check(dataset)
    assert count_indices(dataset) == len(dataset) == 7
    assert dataset[-1]['data_samples'].sample_idx == 6


def test_concatenation_and_repetition_within_each_other() -> None:
    kind = 'mmkd.IndexedConcatDataset'
    inner = dict(type=kind, datasets=[part(2), part(3, 'val')])
    thrice = dict(type='RepeatDataset', dataset=inner, times=3)
    assert count_indices(built(thrice)) == 5
    dataset = built(dict(type=kind, datasets=[part(4, 'test'), thrice]))
    assert len(dataset) == 4 + 15
    check(dataset)


@pytest.mark.parametrize('wrap', [False, True])
def test_plain_concatenation_is_refused(wrap: bool) -> None:
    config = concatenated('ConcatDataset')
    if wrap:
        config = dict(type='RepeatDataset', dataset=config, times=2)
    dataset = built(config)
    for ask in (count_indices, lambda data: labels_by_index(data, 'test')):
        with pytest.raises(
            ValueError, match=r'in each of its 2.*mmkd\.IndexedConcatDataset'
        ):
            ask(dataset)


# -- runs with banks ---------------------------------------------------------


def memory_cohort(num: int) -> dict[str, Any]:
    return dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[toy_classifier(4)] * 2),
        taps=dict(feats='neck'),
        aux_heads=dict(
            embeds=dict(type='mmkd.ContrastiveEmbedding', on='feats')
        ),
        exchange=dict(
            type='mmkd.MemoryMutualContrastiveExchange',
            on='embeds',
            loss=dict(
                type='mmkd.MemoryMutualContrastiveLoss',
                num_peers=2,
                num_samples=num,
            ),
            num_negatives=8,
        ),
    )


def crd(num: int, folder: Any) -> dict[str, Any]:
    teacher = toy_classifier(8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = build_network(teacher)
    torch.save(network.state_dict(), folder / 'teacher.pth')
    return dict(
        type='mmkd.OfflineDistiller',
        student=toy_classifier(4),
        teacher=dict(config=teacher, checkpoint=str(folder / 'teacher.pth')),
        taps=dict(feats='neck'),
        losses=dict(
            crd=dict(
                type='mmkd.CRDLoss',
                on='feats',
                num_samples=num,
                num_negatives=4,
            )
        ),
    )


def run(
    folder: Any, model: Any, dataset: Any, *hooks: Any, **more: Any
) -> Any:
    runner = make_runner(
        str(folder),
        model,
        'classification',
        steps=12,
        hooks=hooks,
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dataset,
        ),
        diary=Diary(),
        **more,
    )
    runner.train()
    return runner.model


LABELS = dict(type='mmkd.DatasetLabelsHook')
INDEX = dict(type='mmkd.SampleIndexHook')


@pytest.mark.parametrize(
    ('config', 'num'),
    [(concatenated(), 7), (repeated(5), 5), (balanced(5), 5)],
)
def test_every_row_of_a_bank_is_written(
    tmp_path: Any, config: Any, num: int
) -> None:
    model = run(tmp_path, memory_cohort(num), config, LABELS)
    banks = model.exchanges[0].loss.banks
    untouched = (banks.norm(dim=2) - 1).abs() > 1e-5
    assert not untouched.any()


@pytest.mark.parametrize('hook', [LABELS, INDEX, None])
def test_a_run_on_a_plain_concatenation_is_refused(
    tmp_path: Any, hook: Any
) -> None:
    config = concatenated('ConcatDataset')
    with pytest.raises(
        ValueError, match=r'sample_idx.*mmkd\.IndexedConcatDataset'
    ):
        run(tmp_path, crd(7, tmp_path), config, *([hook] if hook else []))


@pytest.mark.parametrize('hooks', [[INDEX], []])
def test_a_run_on_repeated_samples_is_not_refused(
    tmp_path: Any, hooks: Any
) -> None:
    before = crd(5, tmp_path)
    model = run(tmp_path, before, repeated(5), *hooks)
    assert model.losses['crd'].z_student > 0


def test_losses_without_indices_take_any_data_set(tmp_path: Any) -> None:
    model = crd(7, tmp_path)
    model['losses'] = dict(kd=dict(type='mmkd.SPLoss', on='feats'))
    trained = run(tmp_path, model, concatenated('ConcatDataset'), INDEX)
    assert trained.sample_index is not None


def test_tools_put_the_hook_into_every_run(tmp_path: Any) -> None:
    config = Config(
        dict(model=toy_classifier(4), work_dir=str(tmp_path), launcher='none')
    )
    runner = build_runner(config)
    names = [type(hook).__name__ for hook in runner.hooks]
    assert names.count('SampleIndexHook') == 1


def test_labels_of_a_set_without_them() -> None:
    with pytest.raises(TypeError, match='test: .*list.*get_gt_labels'):
        labels_by_index([1, 2], 'test')
    assert np.array_equal(
        labels_by_index(built(repeated(4)), 'test'),
        built(part(4)).get_gt_labels(),
    )
