"""TinyImageNet: 200 classes of ImageNet at 64x64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset

from mmkd.registry import DATASETS

_SOURCE = 'http://cs231n.stanford.edu/tiny-imagenet-200.zip'


@DATASETS.register_module()
class TinyImageNet(BaseDataset):
    """100 000 training and 10 000 validation images, as the archive has them.

    Labels count the WordNet numbers of ``wnids.txt`` in sorted order. The
    test images of the archive have no labels.

    Args:
        data_root: the unpacked folder, ``tiny-imagenet-200``.
        split: 'train' or 'val'.
        kwargs: further arguments of mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: unknown split.
    """

    def __init__(
        self, data_root: str, split: str = 'train', **kwargs: Any
    ) -> None:
        if split not in ('train', 'val'):
            raise ValueError(
                f'TinyImageNet: split={split!r} is unknown; use "train" or '
                '"val"'
            )
        self.split = split
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Find the images and their labels."""
        root = Path(self.data_root)
        listed = root / 'val' / 'val_annotations.txt'
        for path in (root / 'wnids.txt', root / 'train', listed):
            if not path.exists():
                raise FileNotFoundError(
                    f'TinyImageNet: "{path}" does not exist; get {_SOURCE}, '
                    'unpack it, and set data_root to the folder '
                    'tiny-imagenet-200 (in our configs: the variable '
                    'MMKD_DATA names its parent, else it is '
                    'data/tiny-imagenet-200)'
                )
        names = sorted((root / 'wnids.txt').read_text().split())
        self._metainfo['classes'] = tuple(names)
        labels = {name: label for label, name in enumerate(names)}
        if self.split == 'train':
            self._require_classes(root / 'train', names)
            found = [
                (path, name)
                for name in names
                for path in sorted((root / 'train' / name).glob('images/*'))
            ]
        else:
            rows = [row.split() for row in listed.read_text().splitlines()]
            images = root / 'val' / 'images'
            for row in rows:
                if len(row) < 2 or row[1] not in labels:
                    raise ValueError(
                        f'TinyImageNet: "{listed}" has the line "'
                        f'{" ".join(row)}", which names no class of '
                        f'wnids.txt; unpack {_SOURCE} again'
                    )
            found = [(images / row[0], row[1]) for row in rows]
            _require_files([path for path, _ in found])
        return [
            dict(img_path=str(path), gt_label=labels[name])
            for path, name in found
        ]

    def _require_classes(self, folder: Path, names: list[str]) -> None:
        """Refuse a folder in which classes are missing."""
        empty = [
            name
            for name in names
            if not any((folder / name / 'images').glob('*'))
        ]
        if empty:
            raise FileNotFoundError(
                f'TinyImageNet: {len(empty)} of {len(names)} classes of '
                f'wnids.txt have no images, the first is "'
                f'{folder / empty[0] / "images"}"; unpack {_SOURCE} again'
            )


def _require_files(paths: list[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f'TinyImageNet: {len(missing)} of {len(paths)} validation images '
            f'are missing, the first is "{missing[0]}"; unpack {_SOURCE} '
            'again'
        )
