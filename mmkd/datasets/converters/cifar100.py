"""CIFAR-100: from folders of images to the layout of the archive.

Two forms are read. One image per file::

    source/{train,test}/CLASS/NAME.png

or one strip per class, all images of a class stacked vertically::

    source/{train,test}/KK_CLASS.webp      (32 wide, 32 * number high)

What is written is read by mmpretrain's, torchvision's and mmkd's
``CIFAR100`` without their hash check::

    target/cifar-100-python/{train,test,meta}
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ('train', 'test')
SIDE = 32
SUFFIXES = ('.png', '.webp', '.bmp', '.jpg', '.jpeg')

# Classes of each superclass; both are numbered alphabetically.
SUPERCLASSES = {
    'aquatic_mammals': 'beaver dolphin otter seal whale',
    'fish': 'aquarium_fish flatfish ray shark trout',
    'flowers': 'orchid poppy rose sunflower tulip',
    'food_containers': 'bottle bowl can cup plate',
    'fruit_and_vegetables': 'apple mushroom orange pear sweet_pepper',
    'household_electrical_devices': 'clock keyboard lamp telephone television',
    'household_furniture': 'bed chair couch table wardrobe',
    'insects': 'bee beetle butterfly caterpillar cockroach',
    'large_carnivores': 'bear leopard lion tiger wolf',
    'large_man-made_outdoor_things': 'bridge castle house road skyscraper',
    'large_natural_outdoor_scenes': 'cloud forest mountain plain sea',
    'large_omnivores_and_herbivores': (
        'camel cattle chimpanzee elephant kangaroo'
    ),
    'medium_mammals': 'fox porcupine possum raccoon skunk',
    'non-insect_invertebrates': 'crab lobster snail spider worm',
    'people': 'baby boy girl man woman',
    'reptiles': 'crocodile dinosaur lizard snake turtle',
    'small_mammals': 'hamster mouse rabbit shrew squirrel',
    'trees': 'maple_tree oak_tree palm_tree pine_tree willow_tree',
    'vehicles_1': 'bicycle bus motorcycle pickup_truck train',
    'vehicles_2': 'lawn_mower rocket streetcar tank tractor',
}
COARSE_OF = {
    name: index
    for index, names in enumerate(SUPERCLASSES.values())
    for name in names.split()
}
CLASSES = tuple(sorted(COARSE_OF))


def convert_cifar100(source: str | Path, target: str | Path) -> Counter[str]:
    """Write both splits and the names of the classes.

    The images are shuffled, always in the same way, since those of the
    archive are: a part of the files then holds all classes.

    Args:
        source: folder with ``train`` and ``test``.
        target: folder to write ``cifar-100-python`` into.

    Returns:
        Number of images per split.

    Raises:
        FileNotFoundError: a split or a class is missing.
        ValueError: an unknown class, or an image of another size.
    """
    folder = Path(target) / 'cifar-100-python'
    counts: Counter[str] = Counter()
    entries = {split: read_split(Path(source) / split) for split in SPLITS}
    folder.mkdir(parents=True, exist_ok=True)
    for split, entry in entries.items():
        counts[split] = len(entry['fine_labels'])
        entry['batch_label'] = f'{split}ing batch 1 of 1'
        _write(folder / split, entry)
    names = dict(
        fine_label_names=list(CLASSES), coarse_label_names=list(SUPERCLASSES)
    )
    _write(folder / 'meta', names)
    return counts


def read_split(folder: Path) -> dict:
    """Return the images of one split as the archive has them.

    Args:
        folder: holds a sub-folder or a strip for every class.

    Returns:
        ``data`` (N, 3072) uint8, and the lists ``fine_labels``,
        ``coarse_labels`` and ``filenames``.

    Raises:
        FileNotFoundError: a class is missing.
        ValueError: an unknown class, or an image of another size.
    """
    sources = _sources_of_classes(folder)
    images: list[np.ndarray] = []
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(CLASSES):
        for file_name, image in _read_class(sources[name]):
            images.append(image.transpose(2, 0, 1).reshape(-1))
            names.append(file_name)
            labels.append(label)
    order = np.random.default_rng(0).permutation(len(labels)).tolist()
    return dict(
        data=np.stack([images[i] for i in order]),
        fine_labels=[labels[i] for i in order],
        coarse_labels=[COARSE_OF[CLASSES[labels[i]]] for i in order],
        filenames=[names[i] for i in order],
    )


def _sources_of_classes(folder: Path) -> dict[str, Path]:
    """Return the sub-folder or strip of every class."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {}
    for path in entries:
        if path.is_dir():
            found[path.name] = path
        elif path.suffix.lower() in SUFFIXES:
            found[re.sub(r'^\d+_', '', path.stem)] = path
    unknown = sorted(found.keys() - COARSE_OF.keys())
    if unknown:
        raise ValueError(
            f'{folder}: {unknown[:5]} are not classes of CIFAR-100; give the '
            'folder with {train,test}/CLASS/NAME.png or '
            '{train,test}/KK_CLASS.webp'
        )
    missing = sorted(COARSE_OF.keys() - found.keys())
    if missing:
        raise FileNotFoundError(
            f'{folder}: {len(missing)} of the 100 classes are missing, the '
            f'first is {missing[0]!r}; give the folder with '
            '{train,test}/CLASS/NAME.png or {train,test}/KK_CLASS.webp'
        )
    return found


def _read_class(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield file names and (32, 32, 3) images of one class."""
    if source.is_dir():
        paths = [
            path
            for path in sorted(source.iterdir())
            if path.suffix.lower() in SUFFIXES
        ]
        if not paths:
            raise FileNotFoundError(
                f'{source} holds no image ({", ".join(SUFFIXES)}); unpack '
                'the data again or correct the path'
            )
        for path in paths:
            yield path.name, _read_image(path, (SIDE, SIDE))
    else:
        strip = _read_image(source, None)
        for index, image in enumerate(strip.reshape(-1, SIDE, SIDE, 3)):
            yield f'{source.stem}_{index:04d}', image


def _read_image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert('RGB'))
    height, width = pixels.shape[:2]
    right = width == SIDE and height % SIDE == 0
    if not right or size not in (None, (height, width)):
        raise ValueError(
            f'{path} is {width}x{height}; images of CIFAR-100 are 32x32, '
            'strips 32 wide and a multiple of 32 high: do not resize them'
        )
    return pixels


def _write(path: Path, entry: dict) -> None:
    path.write_bytes(pickle.dumps(entry, protocol=2))
