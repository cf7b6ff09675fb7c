"""CIFAR in memory: equal to mmpretrain's, in batches, and its errors."""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from tests.support.crafted import Crafted

stock = pytest.importorskip('mmpretrain.datasets')
from mmkd.datasets.cifar import CIFAR10, CIFAR100  # noqa: E402

PACK = [dict(type='PackInputs')]
FOLDERS = {CIFAR10: 'cifar-10-batches-py', CIFAR100: 'cifar-100-python'}


class Stock100(stock.CIFAR100):
    """The stock class for any files."""

    train_list = [['train', None]]
    test_list = [['test', None]]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def write(folder, name, count, key, seed=0, classes=10):
    rng = np.random.default_rng(seed)
    entry = {
        'data': rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        key: rng.integers(0, classes, count).tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
    return entry


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'cifar-100-python'
    write(folder, 'train', 40, 'fine_labels', 1, classes=100)
    write(folder, 'test', 12, 'fine_labels', 2, classes=100)
    (folder / 'meta').write_bytes(pickle.dumps({}, protocol=2))
    return tmp_path


def make(root, cls=CIFAR100, **kwargs):
    kwargs = {'check_hash': False, 'download': False, **kwargs}
    return cls(data_root=str(root), **kwargs)


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('serialize', [True, False])
def test_samples_are_those_of_mmpretrain(root, split, serialize):
    ours = make(root, split=split, pipeline=PACK, serialize_data=serialize)
    reference = Stock100(
        data_root=str(root), split=split, pipeline=PACK, download=False
    )
    batched = make(root, split=split, batched=True, serialize_data=serialize)
    assert len(ours) == len(reference) == len(batched) > 10
    assert ours.metainfo == reference.metainfo
    assert (ours.get_gt_labels() == reference.get_gt_labels()).all()
    for index in (0, 5, len(reference) - 1):
        expected = reference[index]
        for sample in (ours[index], batched[index]):
            assert torch.equal(sample['inputs'], expected['inputs'])
            found, wanted = sample['data_samples'], expected['data_samples']
            assert torch.equal(found.gt_label, wanted.gt_label)
            assert found.sample_idx == wanted.sample_idx == index


def test_batches_through_the_loader_of_the_runner(root):
    dataset = dict(
        type='mmkd.CIFAR100',
        data_root=str(root),
        batched=True,
        check_hash=False,
        download=False,
    )
    loader = Runner.build_dataloader(
        dict(
            batch_size=16,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dataset,
        ),
        seed=0,
    )
    assert isinstance(loader.dataset, CIFAR100)
    images, seen = loader.dataset.images, []
    for batch in loader:
        assert batch['inputs'].dtype == torch.uint8
        for image, sample in zip(
            batch['inputs'], batch['data_samples'], strict=True
        ):
            seen.append(sample.sample_idx)
            assert (image.numpy() == images[sample.sample_idx]).all()
            label = loader.dataset.get_gt_labels()[sample.sample_idx]
            assert sample.gt_label.tolist() == [label]
    assert sorted(seen) == list(range(40))


def test_stock_pipeline_goes_through_the_loader(root):
    dataset = make(root, pipeline=PACK)
    loader = DataLoader(dataset, batch_size=10, collate_fn=list)
    samples = [sample for batch in loader for sample in batch]
    assert [s['data_samples'].sample_idx for s in samples] == list(range(40))


@pytest.mark.parametrize('batched', [True, False])
def test_samples_do_not_share_memory_with_the_data_set(root, batched):
    options = dict(batched=True) if batched else dict(pipeline=PACK)
    dataset = make(root, **options)
    before = dataset.images.copy()
    dataset[3]['inputs'].zero_()
    dataset[3]['data_samples'].gt_label.fill_(-1)
    assert (dataset.images == before).all()
    assert (dataset.get_gt_labels() >= 0).all()
    assert dataset[3]['data_samples'].gt_label >= 0


def test_subsets_keep_their_own_samples(root):
    full = make(root, batched=True)
    first = full[0]['inputs']
    part = full.get_subset([7, 0, 9])
    assert (part.get_gt_labels() == full.get_gt_labels()[[7, 0, 9]]).all()
    assert torch.equal(part[1]['inputs'], first)
    assert part[1]['data_samples'].sample_idx == 1
    full.get_subset_([9, 7])
    assert torch.equal(full[0]['inputs'], part[2]['inputs'])
    assert (make(root, batched=True, indices=5)[4]['inputs']).shape[0] == 3


def test_classes_with_small_labels(root):
    whole = make(root).get_gt_labels()
    labels = make(root, label_limit=50).get_gt_labels()
    assert 0 < len(labels) < len(whole)
    assert labels.tolist() == [label for label in whole if label < 50]
    for limit in (0, 101):
        with pytest.raises(ValueError, match=f'label_limit={limit} is not'):
            make(root, label_limit=limit)


def test_index_from_the_end_and_out_of_range(root):
    dataset = make(root, batched=True)
    last = dataset[-1]['data_samples']
    assert last.sample_idx == 39
    assert torch.equal(dataset[-1]['inputs'], dataset[39]['inputs'])
    with pytest.raises(IndexError):
        dataset[40]


def test_lazy_init(root):
    dataset = make(root, batched=True, lazy_init=True)
    assert len(dataset.__getitems__([1, 2])) == 2


def test_cifar10(tmp_path):
    folder = tmp_path / FOLDERS[CIFAR10]
    parts = [
        write(folder, f'data_batch_{k}', 3, 'labels', k) for k in range(1, 6)
    ]
    write(folder, 'test_batch', 4, 'labels')
    dataset = make(tmp_path, CIFAR10, batched=True)
    assert len(dataset) == 15
    assert len(dataset.metainfo['classes']) == 10
    image = dataset[7]['inputs'].flatten().numpy()
    assert (image == parts[2]['data'][1]).all()
    assert dataset.get_gt_labels()[7] == parts[2]['labels'][1]


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        make(tmp_path / 'nowhere')
    for part in ('nowhere', 'data_root', 'MMKD_DATA', 'download=True'):
        assert part in str(error.value)


@pytest.mark.parametrize('download', [True, False])
def test_other_files_are_refused_not_replaced(root, download, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError('downloaded over the files')

    name = 'mmpretrain.datasets.cifar.download_and_extract_archive'
    monkeypatch.setattr(name, never)
    with pytest.raises(ValueError, match='MD5.*check_hash=False'):
        make(root, check_hash=True, download=download)


def test_missing_files_are_downloaded_as_by_mmpretrain(tmp_path, monkeypatch):
    def fake(url, root, filename, md5):
        assert url.endswith('cifar-100-python.tar.gz')
        folder = tmp_path / 'cifar-100-python'
        assert Path(root) == tmp_path
        write(folder, 'train', 5, 'fine_labels')
        write(folder, 'test', 5, 'fine_labels')

    name = 'mmpretrain.datasets.cifar.download_and_extract_archive'
    monkeypatch.setattr(name, fake)
    assert len(make(tmp_path, batched=True, download=True)) == 5


def test_failed_download(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise URLError('no route to host')

    name = 'mmpretrain.datasets.cifar.download_and_extract_archive'
    monkeypatch.setattr(name, offline)
    with pytest.raises(FileNotFoundError, match='no route to host.*data_root'):
        make(tmp_path, download=True)


def test_labels_of_other_data_are_refused(tmp_path):
    folder = tmp_path / FOLDERS[CIFAR100]
    for split in ('train', 'test'):
        write(folder, split, 200, 'fine_labels', classes=300)
    with pytest.raises(ValueError, match='labels reach from .* expected 0 to'):
        make(tmp_path)


def test_batched_and_pipeline_exclude_each_other(root):
    with pytest.raises(ValueError, match='batched=True.*1 transforms'):
        make(root, batched=True, pipeline=PACK)


@pytest.mark.slow
@pytest.mark.parametrize(('split', 'count'), [('train', 500), ('test', 100)])
def test_real_data(data_root, split, count):
    dataset = DATASETS.build(
        dict(
            type='mmkd.CIFAR100',
            data_root=str(data_root / 'cifar100'),
            split=split,
            batched=True,
            check_hash=False,
        )
    )
    labels = dataset.get_gt_labels()
    assert np.bincount(labels).tolist() == [count] * 100
    assert len(set(labels[:500].tolist())) > 90  # shuffled
    if split == 'train':
        channels = dataset.images.transpose(1, 0, 2, 3).reshape(3, -1)
        mean = channels.mean(1)
        assert mean == pytest.approx([129.304, 124.070, 112.434], abs=1e-3)


@pytest.mark.parametrize('name', ['train', 'meta'])
def test_crafted_archive_runs_no_code(root, tmp_path, name):
    marker = tmp_path / 'ran'
    path = root / 'cifar-100-python' / name
    path.write_bytes(pickle.dumps(Crafted(marker)))
    words = rf'cifar-100-python/{name}" is not read: it asks for'
    with pytest.raises(ValueError, match=words):
        dataset = make(root)
        dataset._load_meta()
    assert not marker.exists()


@pytest.mark.parametrize('fault', ['fewer', 'cut', 'none'])
def test_as_many_labels_as_images(root, fault):
    folder = root / 'cifar-100-python'
    entry = write(folder, 'train', 100, 'fine_labels', classes=100)
    if fault == 'fewer':
        entry['data'] = entry['data'][:50]
    elif fault == 'cut':
        entry['data'] = entry['data'].reshape(-1)[:-7]
    else:
        del entry['fine_labels']
    (folder / 'train').write_bytes(pickle.dumps(entry, protocol=2))
    count = dict(fewer='50', cut='99', none='100')[fault]
    labels = 'no' if fault == 'none' else '100'
    words = rf'train.* holds {count} images .* and {labels} labels'
    with pytest.raises(ValueError, match=words):
        make(root)
