"""IoU of every class, and segmentations of several networks side by side."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmkd.cli.config import read_config
from mmkd.evaluation.features import (
    data_loader,
    evaluation_split,
    frozen_network,
)
from mmkd.visualization import colour_map, plot_class_bars, plot_panels

Network = tuple[str, str, str]
FILES = ('iou_per_class.csv', 'iou_per_class.png', 'strips.png')


@dataclass
class Found:
    """What one network gave.

    Args:
        intersect: (K,) summed areas.
        union: (K,) summed areas.
        maps: image number -> predicted labels (H, W), of those to draw.
    """

    intersect: torch.Tensor
    union: torch.Tensor
    maps: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def iou(self) -> torch.Tensor:
        """IoU (K,) in %; nan for a class that nowhere occurs."""
        return 100 * self.intersect / self.union


def picture_segmentations(
    name: str,
    networks: Sequence[Network],
    out: str | Path,
    *,
    split: str | None = None,
    images: Sequence[int] = (0,),
    limit: int | None = None,
) -> list[Path]:
    """Write IoU per class as a table and as bars, and strips of images.

    Args:
        name: config whose data are used.
        networks: (title, config, checkpoint) of each: teacher, baseline,
            distilled, ...
        out: folder; gets ``iou_per_class.csv``, ``iou_per_class.png`` and
            ``strips.png``: image, label, and what each network finds.
        split: ``'val'`` or ``'test'``; default: test, if there is one.
        images: numbers of those to draw.
        limit: evaluate the first images only.

    Returns:
        The files.

    Raises:
        ValueError: there are no such images, or other class numbers.
    """
    config = read_config(name)
    init_default_scope(config.get('default_scope', 'mmseg'))
    split = split or evaluation_split(config)
    dataset: Any = data_loader(config, split, batch_size=1).dataset
    count = len(dataset) if limit is None else min(limit, len(dataset))
    wrong = [k for k in images if not 0 <= k < count]
    if wrong or not images:
        raise ValueError(
            f'--images {" ".join(map(str, wrong)) or "(none)"}: the {split} '
            f'data have {count} images to evaluate, from 0; choose others '
            'or raise --limit'
        )
    classes = list(dataset.metainfo['classes'])
    found = {
        title: evaluate(
            frozen_network(read_config(own), checkpoint),
            dataset,
            range(count),
            images,
            len(classes),
        )
        for title, own, checkpoint in networks
    }
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    table, bars, strips = (folder / file for file in FILES)
    write_table(table, classes, found)
    ious = {title: one.iou.tolist() for title, one in found.items()}
    plot_class_bars(ious, classes, bars, f'IoU, % ({count} {split} images)')
    palette = dataset.metainfo['palette']
    plot_panels(
        columns(dataset, images, found, palette),
        strips,
        legend=dict(zip(classes, palette, strict=True))
        if len(classes) <= 12
        else None,
    )
    return [table, bars, strips]


def evaluate(
    network: Any,
    dataset: Any,
    numbers: Sequence[int],
    kept: Sequence[int],
    classes: int,
) -> Found:
    """Run a network on images of a data set.

    Args:
        network: frozen.
        dataset: gives images with labels.
        numbers: of the images.
        kept: whose predictions are kept.
        classes: K of the data set.

    Raises:
        ValueError: the network predicts other classes.
    """
    from mmseg.evaluation.metrics import IoUMetric

    result = Found(torch.zeros(classes), torch.zeros(classes))
    for number in numbers:
        sample, labels = predict(network, dataset[number])
        predicted = sample.pred_sem_seg.data[0].cpu()
        logits = sample.seg_logits.data
        if logits.shape[0] not in (1, classes):
            raise ValueError(
                f'{type(network).__name__} predicts {logits.shape[0]} '
                f'classes, the data have {classes}: give a network and data '
                'of the same classes'
            )
        intersect, union, *_ = IoUMetric.intersect_and_union(
            predicted, labels, classes, 255
        )
        result.intersect += intersect
        result.union += union
        if number in kept:
            result.maps[number] = predicted.numpy()
    return result


@torch.no_grad()
def predict(network: Any, item: Mapping[str, Any]) -> tuple[Any, torch.Tensor]:
    """Return the sample with predictions, and its labels (H, W)."""
    sample = item['data_samples'].clone()
    labels = sample.gt_sem_seg.data[0]
    batch = dict(inputs=[item['inputs']], data_samples=[sample])
    return network.test_step(batch)[0], labels


def columns(
    dataset: Any,
    images: Sequence[int],
    found: Mapping[str, Found],
    palette: Sequence[Sequence[int]],
) -> dict[str, list[np.ndarray]]:
    """Return title -> pictures, in the size of the labels."""
    pictures: dict[str, list[np.ndarray]] = {'image': [], 'label': []}
    for number, item in zip(images, _items(dataset, images), strict=True):
        labels = item['data_samples'].gt_sem_seg.data[0].numpy()
        pixels = item['inputs'].permute(1, 2, 0).numpy()[..., ::-1]
        size = labels.shape[::-1]
        pictures['image'].append(
            cv2.resize(np.ascontiguousarray(pixels, np.uint8), size)
        )
        pictures['label'].append(colour_map(labels, palette))
        for title, one in found.items():
            drawn = colour_map(one.maps[number], palette)
            pictures.setdefault(title, []).append(drawn)
    return pictures


def _items(dataset: Any, images: Sequence[int]) -> Iterator[Any]:
    return (dataset[number] for number in images)


def write_table(
    path: Path, classes: Sequence[str], found: Mapping[str, Found]
) -> None:
    """Write a line per network: IoU of every class, and both means."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['network', *classes, 'mIoU_all', 'mIoU_present'])
        for title, one in found.items():
            means = one.iou.nan_to_num(0).mean(), one.iou.nanmean()
            values = [*one.iou, *means]
            writer.writerow([title, *(f'{float(v):.2f}' for v in values)])
