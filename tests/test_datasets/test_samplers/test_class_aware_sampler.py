"""Class-aware batches: their composition, streams and errors."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from mmengine.runner import Runner
from torch.utils.data import Subset

from mmkd.datasets import ClassAwareSampler


class Labelled:
    """A data set that knows nothing but labels."""

    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return int(index)

    def get_gt_labels(self):
        return self.labels


LABELS = np.repeat(np.arange(12), 25)


def blocks(sampler):
    return np.array(list(sampler)).reshape(-1, sampler.batch_size)


def check_batches(indices, labels, count):
    """Every row: B/count classes, each count times, no image twice."""
    for row in indices:
        assert len(set(row.tolist())) == len(row)
        _, times = np.unique(labels[row], return_counts=True)
        assert times.tolist() == [count] * (len(row) // count)


def test_properties_of_the_published_sampler(golden):
    case = golden('mcl', 'class_aware_sampler')
    labels, size = case['labels'], int(case['batch_size'])
    count = int(case['samples_per_class'])
    sampler = ClassAwareSampler(Labelled(labels), size, count, seed=0)
    ours = blocks(sampler)
    assert len(sampler) == ours.size == case['num_indices_per_epoch']
    theirs = case['example_epoch_1'].reshape(-1, size)
    for indices in (ours, theirs):
        check_batches(indices, labels, count)
    assert ours.shape == theirs.shape


@pytest.mark.parametrize(('size', 'count'), [(24, 2), (12, 4), (12, 1)])
def test_other_batches(size, count):
    sampler = ClassAwareSampler(Labelled(LABELS), size, count, seed=1)
    indices = blocks(sampler)
    assert len(indices) == 300 // size
    check_batches(indices, LABELS, count)


def test_classes_and_images_are_equally_likely():
    sampler = ClassAwareSampler(Labelled(LABELS), 8, 2, seed=0)
    drawn = []
    for epoch in range(70):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    times = np.bincount(drawn, minlength=300)
    expected = len(drawn) / 300
    chi_square = ((times - expected) ** 2 / expected).sum()
    assert chi_square < 400  # 299 degrees of freedom: p = 0.0001
    per_class = np.bincount(LABELS[drawn])
    assert per_class == pytest.approx(len(drawn) / 12, rel=0.12)


def test_seed_and_epoch_decide():
    def draw(seed=0, epoch=0):
        sampler = ClassAwareSampler(Labelled(LABELS), 16, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert draw() == draw()
    assert draw() != draw(seed=1)
    assert draw() != draw(epoch=1)
    assert draw(seed=1) != draw(epoch=1)


def test_labels_in_any_order_and_with_gaps():
    labels = np.random.default_rng(0).permutation(LABELS) * 7 + 3
    sampler = ClassAwareSampler(Labelled(labels), 16, 2, seed=0)
    check_batches(blocks(sampler), labels, 2)


def test_small_classes_are_drawn_with_replacement():
    labels = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2])
    sampler = ClassAwareSampler(Labelled(labels), 6, 2, seed=0)
    indices = blocks(sampler)
    assert indices.shape == (2, 6)
    for row in indices:
        assert np.bincount(labels[row]).tolist() == [2, 2, 2]
        assert row.tolist().count(0) == 2


def test_built_by_the_runner():
    loader = Runner.build_dataloader(
        dict(
            batch_size=16,
            num_workers=0,
            dataset=Labelled(LABELS),
            sampler=dict(type='mmkd.ClassAwareSampler', batch_size=16),
            collate_fn=dict(type='pseudo_collate'),
        ),
        seed=4,
    )
    assert isinstance(loader.sampler, ClassAwareSampler)
    assert loader.sampler.seed == 4
    batches = [np.array(batch) for batch in loader]
    assert len(batches) == len(loader) == 18
    check_batches(batches, LABELS, 2)


def wrapped_cases():
    from mmengine.dataset import (
        ClassBalancedDataset,
        ConcatDataset,
        RepeatDataset,
    )

    def bare(cls, **attributes):
        # Their constructors want mmengine data sets with annotations.
        wrapper = cls.__new__(cls)
        for key, value in dict(
            _fully_initialized=True, dataset=Labelled(LABELS), **attributes
        ).items():
            setattr(wrapper, key, value)
        return wrapper

    chosen = [3, 299, 3, 40]
    concat = bare(
        ConcatDataset,
        datasets=[Labelled([1, 2]), Labelled([5])],
        cumulative_sizes=[2, 3],
    )
    repeat = bare(RepeatDataset, times=2, _ori_len=300)
    balanced = bare(ClassBalancedDataset, repeat_indices=chosen)
    return [
        (concat, [1, 2, 5]),
        (repeat, [*LABELS, *LABELS]),
        (balanced, LABELS[chosen]),
        (Subset(Labelled(LABELS), chosen), LABELS[chosen]),
        (Subset(concat, [2, 0]), [5, 1]),
    ]


@pytest.mark.parametrize('case', range(5))
def test_labels_of_wrapped_data_sets(case):
    from mmkd.datasets.samplers.labels import dataset_labels

    dataset, expected = wrapped_cases()[case]
    assert dataset_labels(dataset).tolist() == list(expected)


def test_data_set_of_mmpretrain():
    pytest.importorskip('mmpretrain')
    from mmengine.registry import DATASETS, DefaultScope

    from mmkd.toys import toy_dataset

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        config = toy_dataset('classification')
        dataset = DATASETS.build(config)
    labels = np.array(
        [dataset.get_data_info(k)['gt_label'] for k in range(len(dataset))]
    )
    classes = len(set(labels.tolist()))
    assert classes > 1
    sampler = ClassAwareSampler(dataset, 2 * classes, 2, seed=0)
    for row in blocks(sampler):
        assert np.unique(labels[row], return_counts=True)[1].max() == 2


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(batch_size=15), 'batch_size=15 is not a multiple of'),
        (dict(batch_size=26), 'needs 13 classes .* has 12'),
        (dict(batch_size=16, samples_per_class=0), 'samples_per_class=0'),
    ],
)
def test_bad_sizes(options, words):
    with pytest.raises(ValueError, match=words):
        ClassAwareSampler(Labelled(LABELS), **options)


def test_data_sets_without_labels():
    sampler = r'^ClassAwareSampler \(train_dataloader.sampler\) needs .*'
    with pytest.raises(
        TypeError, match=sampler + r'list has no get_gt_labels\(\)'
    ):
        ClassAwareSampler([1, 2, 3], 2)
    many = Labelled(np.zeros((5, 2), dtype=int))
    with pytest.raises(ValueError, match=sampler + 'multi-label'):
        ClassAwareSampler(many, 2)


def test_messages_about_labels_name_who_asked():
    from mmkd.datasets.samplers.labels import dataset_labels

    wrapped = Subset([1, 2, 3], [0])
    with pytest.raises(TypeError, match='^ClassMeans needs the labels of'):
        dataset_labels(wrapped, 'ClassMeans')
    with pytest.raises(TypeError, match='^dataset_labels needs the labels'):
        dataset_labels(wrapped)


SCRIPT = """
import sys
import numpy as np
from torch import distributed
from mmkd.datasets import ClassAwareSampler

folder, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group(
    'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)

class Labelled(list):
    def get_gt_labels(self):
        return np.array(self)

dataset = Labelled(sorted(list(range(12)) * 25))
shared = ClassAwareSampler(dataset, 16).seed
sampler = ClassAwareSampler(dataset, 16, 2, seed=3)
np.savez(f'{folder}/{rank}.npz', seed=shared, length=len(sampler),
         indices=list(sampler))
distributed.barrier()  # a process that ends early would stop the other
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_draw_different_batches(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(textwrap.dedent(SCRIPT))
    processes = [
        subprocess.Popen([sys.executable, script, tmp_path, str(rank)])
        for rank in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    first, second = (np.load(tmp_path / f'{rank}.npz') for rank in range(2))
    assert first['seed'] == second['seed']
    assert first['length'] == second['length'] == 144  # 300 // 32 * 16
    indices = [part['indices'].reshape(-1, 16) for part in (first, second)]
    for part in indices:
        check_batches(part, LABELS, 2)
    assert not np.array_equal(*indices)
