"""What is wrong with a file of an image or of a label map.

Decoders are lenient: of a cut JPEG they make a picture with a grey rest,
and of a label map of 16 bits one of 8. Here such files are told, at the
cost of reading their header and last bytes.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

#: last bytes of a whole file, and where to look for them
_ENDS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}
_TAIL = 64
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_INDEX_MODES = ('1', 'L', 'P')
LARGEST_LABEL = 255


def image_fault(path: str) -> str | None:
    """Say what is wrong with a file, or return None.

    Kinds that pillow does not know are left to the loader.
    """
    file = Path(path)
    if not file.stat().st_size:
        return 'it is empty (0 bytes)'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # the error is enough
            with Image.open(file) as image:
                end = _ENDS.get(image.format or '')
                if end is not None and end not in _tail(file):
                    image.load()  # what follows a whole picture is no fault
    except Image.DecompressionBombError as error:
        return f'{error}; make it smaller'
    except UnidentifiedImageError:
        return None
    except (OSError, SyntaxError, ValueError) as error:
        return f'it is cut off or damaged ({error})'
    return None


def describe_unreadable(path: str) -> str | None:
    """Say how a file begins that no loader could read."""
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        with Path(path).open('rb') as stream:
            return f'it is no image, it begins with {stream.read(12)!r}'
    except Image.DecompressionBombError as error:
        return f'{error}'
    except (OSError, SyntaxError, ValueError) as error:
        return f'it is cut off or damaged ({error})'
    return None


def label_map_fault(path: str, image_path: str | None) -> str | None:
    """Say what is wrong with a label map, or return None.

    Args:
        path: of a map of class numbers.
        image_path: of its image, whose size it must have.
    """
    fault = image_fault(path)
    if fault is not None:
        return fault
    try:
        with Image.open(path) as labels:
            if labels.mode not in _INDEX_MODES:
                fault = _wide_fault(labels)
            if fault is None and image_path and Path(image_path).is_file():
                with Image.open(image_path) as image:
                    fault = _size_fault(labels, image)
    except UnidentifiedImageError:
        return None
    return fault


def _wide_fault(labels: Image.Image) -> str | None:
    bands = len(labels.getbands())
    if bands > 1:
        return (
            f'it has {bands} channels ({labels.mode}); a label map has one, '
            'of class numbers: convert it'
        )
    extrema: Any = labels.getextrema()
    least, most = extrema
    if least < 0 or most > LARGEST_LABEL:
        return (
            f'its numbers ({labels.mode}) reach from {least} to {most}, and '
            f'labels are read as 8 bits, 0 to {LARGEST_LABEL}: convert it'
        )
    return None


def _size_fault(labels: Image.Image, image: Image.Image) -> str | None:
    width, height = image.size
    turned = image.getexif().get(_ORIENTATION) in _TURNED
    sizes = {(width, height)} | ({(height, width)} if turned else set())
    if labels.size in sizes:
        return None
    return (
        f'it is {labels.size[0]} x {labels.size[1]} pixels, its image '
        f'{width} x {height}'
    )


def _tail(file: Path) -> bytes:
    with file.open('rb') as stream:
        stream.seek(max(file.stat().st_size - _TAIL, 0))
        return stream.read()
