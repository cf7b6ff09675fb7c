"""CIFAR-10 and CIFAR-100 in memory, handed out in whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.fileio import exists, get, join_path
from mmpretrain import datasets as stock
from mmpretrain.structures import DataSample

from mmkd.checkpoints.plain_pickle import load_plain
from mmkd.datasets.class_balance import balanced_indices
from mmkd.datasets.converters.cifar100 import read_split
from mmkd.registry import DATASETS


class _CIFARInMemory(stock.CIFAR10):
    """What the two data sets have in common; see `CIFAR100`."""

    num_labels: int
    train_list: list[list[str | None]]
    test_list: list[list[str | None]]
    images: np.ndarray  # (N, 3, 32, 32) uint8, RGB

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        batched: bool = False,
        check_hash: bool = True,
        fraction: float = 1.0,
        label_limit: int | None = None,
        pipeline: Sequence = (),
        **kwargs: Any,
    ) -> None:
        self.fraction = fraction
        if label_limit is not None and not 0 < label_limit <= self.num_labels:
            raise ValueError(
                f'{type(self).__name__}: label_limit={label_limit} is not in '
                f'1 to {self.num_labels}; it is the number of classes to use'
            )
        self.label_limit = label_limit or self.num_labels
        if batched and pipeline:
            raise ValueError(
                f'{type(self).__name__}: batched=True packs samples itself, '
                f'but pipeline has {len(pipeline)} transforms; leave out '
                'pipeline (mmkd.BatchAugmentPreprocessor augments), or '
                'batched'
            )
        self.batched = batched
        self._cached: tuple | None = None  # a subset has another source
        if not check_hash:
            self.train_list = [[name, None] for name, _ in self.train_list]
            self.test_list = [[name, None] for name, _ in self.test_list]
        super().__init__(
            data_root=data_root, split=split, pipeline=pipeline, **kwargs
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the files; the list holds labels and rows of `images`."""
        self.images, labels = self._read()
        if not 0 <= min(labels) <= max(labels) < self.num_labels:
            raise ValueError(
                f'{type(self).__name__}: labels reach from {min(labels)} to '
                f'{max(labels)} in {self._folder()!r}, expected 0 to '
                f'{self.num_labels - 1}; check data_root and its files'
            )
        rows = balanced_indices(labels, self.fraction, key='dataset.fraction')
        return [
            dict(row=row, gt_label=labels[row])
            for row in rows
            if labels[row] < self.label_limit
        ]

    def _read(self) -> tuple[np.ndarray, list[int]]:
        """Return images (N, 3, 32, 32) and labels of the archive."""
        self._check_files()
        try:
            self._download()
        except (URLError, ConnectionError, TimeoutError) as error:
            raise FileNotFoundError(
                f'{type(self).__name__}: {self._folder()!r} does not exist '
                f'and the download from {self.url} failed ({error}); get the '
                'archive otherwise, unpack it in data_root (in our configs: '
                'the variable MMKD_DATA names its parent)'
            ) from error
        names = self.train_list if self.split == 'train' else self.test_list
        images, labels = [], []
        for name, _ in names:
            entry = self._read_file(str(name))
            key = 'labels' if 'labels' in entry else 'fine_labels'
            images.append(self._pixels(name, entry, entry.get(key)))
            labels += [int(label) for label in entry[key]]
        return np.concatenate(images), labels

    def _pixels(
        self, name: Any, entry: dict[str, Any], labels: Any
    ) -> np.ndarray:
        """Return the images of a file, (N, 3, 32, 32).

        Raises:
            ValueError: something is missing, or there are not as many
                labels as images.
        """
        pixels = np.asarray(entry.get('data', ()))
        found = pixels.size // 3072
        if pixels.size % 3072 or labels is None or len(labels) != found:
            count = 'no' if labels is None else len(labels)
            raise ValueError(
                f'{type(self).__name__}: '
                f'{join_path(self._folder(), str(name))!r} holds {found} '
                f'images of 3x32x32 ({pixels.size} bytes) and {count} '
                'labels; get or make the file again'
            )
        return pixels.reshape(-1, 3, 32, 32)

    def _download(self) -> None:
        """Fetch the archive, as mmpretrain does, where files are missing."""
        if is_main_process() and not self._check_integrity():
            stock.cifar.download_and_extract_archive(
                self.url,
                self.data_prefix['root'],
                filename=self.filename,
                md5=self.tgz_md5,
            )
        barrier()

    def _read_file(self, name: str) -> dict[str, Any]:
        """Read a file of the archive, without running code from it."""
        path = join_path(self._folder(), name)
        entry = load_plain(get(path), path, encoding='latin1')
        if not isinstance(entry, dict):
            raise ValueError(
                f'{type(self).__name__}: {path!r} holds no dict of images; '
                'get the archive again'
            )
        return entry

    def _load_meta(self) -> None:
        classes = self._read_file(str(self.meta['filename']))[self.meta['key']]
        self._metainfo.setdefault('classes', classes)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the image (H, W, C; RGB), label and index of a sample."""
        info = super().get_data_info(idx)
        planes = self.images[info.pop('row')]
        info['img'] = np.ascontiguousarray(planes.transpose(1, 2, 0))
        return info

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all samples, (len,) int64."""
        return self._table()[1].numpy()

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Return a sample after the pipeline, or packed if ``batched``."""
        if not self.batched:
            return super().__getitem__(idx)
        return self.__getitems__([idx])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Return the samples of a batch; called by torch's data loader."""
        if not self.batched:
            return [self[idx] for idx in indices]
        rows, labels = self._table()
        chosen = torch.as_tensor(indices)
        chosen = torch.where(chosen < 0, chosen + len(rows), chosen)
        images = torch.from_numpy(self.images).index_select(0, rows[chosen])
        return [
            dict(inputs=image, data_samples=_pack(label, sample_idx))
            for image, label, sample_idx in zip(
                images.unbind(),
                labels[chosen].split(1),
                chosen.tolist(),
                strict=True,
            )
        ]

    def _table(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows in `images` and the labels of all samples."""
        if not self._fully_initialized:
            self.full_init()
        source = self.data_address if self.serialize_data else self.data_list
        if self._cached is None or self._cached[0] is not source:
            get = super().get_data_info
            infos = [get(idx) for idx in range(len(self))]
            rows = torch.tensor([info['row'] for info in infos])
            labels = torch.tensor([info['gt_label'] for info in infos])
            self._cached = (source, rows, labels)
        return self._cached[1:]

    def _folder(self) -> str:
        return join_path(self.data_prefix['root'], self.base_folder)

    def _files(self) -> list[str]:
        files = [*self.train_list, *self.test_list]
        return [join_path(self._folder(), str(name)) for name, _ in files]

    def _check_files(self) -> None:
        """Explain missing files, and keep re-packed ones from download."""
        missing = [path for path in self._files() if not exists(path)]
        name = type(self).__name__
        if missing and not self.download:
            raise FileNotFoundError(
                f'{name}: {missing[0]!r} does not exist; set data_root to '
                f'the folder that contains {self.base_folder} (in our '
                'configs: the variable MMKD_DATA names its parent), or '
                'download=True'
            )
        if not missing and not self._check_integrity():
            raise ValueError(
                f'{name}: the files in {self._folder()!r} are not those of '
                'the official archive (other MD5): for re-packed ones set '
                'check_hash=False, otherwise remove the folder and download '
                'again'
            )


@DATASETS.register_module()
class CIFAR100(_CIFARInMemory, stock.CIFAR100):
    """mmpretrain's CIFAR-100 with whole batches and re-packed files.

    With ``batched=True`` a data loader gets all images of a batch at once,
    without transforms: augmentation is then the task of
    ``mmkd.BatchAugmentPreprocessor``. Use ``collate_fn=dict(
    type='default_collate')`` in the data loader. Otherwise it is the stock
    data set, for stock pipelines. Each sample carries ``sample_idx``.

    The files are those of the archive. Where they are missing, images in
    ``{train,test}/CLASS/NAME.png`` or strips ``{train,test}/KK_CLASS.webp``
    are read instead, which takes longer at every start:
    ``tools/dataset_converters/cifar100.py`` makes archive files of them.

    Args:
        data_root: folder that contains ``cifar-100-python``, or the images.
        split: 'train' or 'test'.
        batched: hand out (3, 32, 32) uint8 images and labels, packed.
        check_hash: compare the files with the official archive; False for
            files made by ``tools/dataset_converters/cifar100.py``.
        fraction: share of each class to use, always the same images; a
            smaller share is part of a larger one.
        label_limit: use only the classes with smaller labels, e.g. to keep
            the others for a few-shot evaluation.
        pipeline: transforms, if not ``batched``.
        **kwargs: arguments of mmpretrain's ``CIFAR100``; ``download=True``
            is its default.

    Raises:
        FileNotFoundError: files are missing and ``download`` is off, or
            the download fails.
        ValueError: other files than the official ones (``check_hash``), bad
            labels, ``batched`` together with a pipeline.
    """

    num_labels = 100

    def _read(self) -> tuple[np.ndarray, list[int]]:
        images = Path(self.data_prefix['root']) / self.split
        archive = all(exists(path) for path in self._files())
        if archive or not images.is_dir():
            return super()._read()
        entry = read_split(images)
        return entry['data'].reshape(-1, 3, 32, 32), entry['fine_labels']


@DATASETS.register_module()
class CIFAR10(_CIFARInMemory):
    """mmpretrain's CIFAR-10 with whole batches; see `CIFAR100`.

    Its files are in ``cifar-10-batches-py``.
    """

    num_labels = 10


def _pack(label: torch.Tensor, sample_idx: int) -> DataSample:
    """Return a sample with a label (1,), without costly checks."""
    sample = DataSample()
    sample.set_field(label, 'gt_label')
    sample.set_field(sample_idx, 'sample_idx', field_type='metainfo')
    return sample
