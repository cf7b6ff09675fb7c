"""Bring CIFAR-100 from images into the layout of its archive.

    python tools/dataset_converters/cifar100.py IMAGES data/cifar100

IMAGES holds {train,test}/CLASS/NAME.png (one file per image) or
{train,test}/KK_CLASS.webp (one strip of stacked images per class). The
result needs check_hash=False in the data set (the configs have it), since
the official files are ordered otherwise.
"""

from __future__ import annotations

import argparse

from mmkd.datasets.converters import convert_cifar100


def main() -> None:
    """Convert and say how many images each split has."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='folder of the images')
    parser.add_argument('target', help='folder to write, e.g. data/cifar100')
    args = parser.parse_args()
    try:
        counts = convert_cifar100(args.source, args.target)
    except (FileNotFoundError, ValueError) as error:
        parser.exit(1, f'error: {error}\n')
    for split, count in counts.items():
        print(f'{split}: {count} images')


if __name__ == '__main__':
    main()
