"""Bring CamVid into the layout that mmkd.CamVidDataset reads.

    python tools/dataset_converters/camvid.py DOWNLOAD data/camvid

DOWNLOAD is the folder CamVid of the SegNet release (train, trainannot, ...)
or the folder with 701_StillsRaw_full and LabeledApproved_full (original).
"""

from __future__ import annotations

import argparse

from mmkd.datasets.converters import convert_camvid


def main() -> None:
    """Convert and say how many images each split has."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='folder of the download')
    parser.add_argument('target', help='folder to write, e.g. data/camvid')
    parser.add_argument(
        '--split-dir',
        help='original only: folder with train.txt, val.txt and test.txt; '
        "without it, SegNet's split (367 / 101 / 233 frames)",
    )
    args = parser.parse_args()
    try:
        counts = convert_camvid(args.source, args.target, args.split_dir)
    except (FileNotFoundError, ValueError) as error:
        parser.exit(1, f'error: {error}\n')
    for split, count in counts.items():
        print(f'{split}: {count} images')


if __name__ == '__main__':
    main()
