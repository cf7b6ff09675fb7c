"""Pictures of solved puzzles, and of poses of several networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmkd.cli.config import read_config
from mmkd.evaluation.features import data_loader, frozen_network
from mmkd.utils.patch_grid import rearrange
from mmkd.utils.types import type_name
from mmkd.visualization import (
    draw_heatmaps,
    draw_pose,
    draw_slots,
    plot_panels,
    reassemble,
)

Background = Callable[[Mapping[str, Any]], np.ndarray]


def picture_puzzles(
    name: str, checkpoint: str, out: str | Path, **people: Any
) -> None:
    """Draw solved puzzles of the validation data into a PNG file.

    Args:
        name: config of the pretraining run.
        checkpoint: of it.
        out: the file to write.
        people: ``start`` and ``count``, which to draw; ``photo``, False: on
            a blank.

    Raises:
        ValueError: the network is one for joints, or there are fewer people.
    """
    config = read_config(name)
    check_task(name, config, 'puzzles')
    chosen, background = chosen_people(config, **people)
    _write(puzzle_columns(config, checkpoint, chosen, background), out)


def picture_poses(
    name: str,
    networks: Sequence[Sequence[str]],
    out: str | Path,
    **people: Any,
) -> None:
    """Draw poses of several networks side by side into a PNG file.

    Args:
        name: config whose validation data are drawn.
        networks: (title, config, checkpoint) of each.
        out: the file to write.
        people: see `picture_puzzles`.

    Raises:
        ValueError: a network is one for puzzles, or there are fewer people.
    """
    config = read_config(name)
    check_task(name, config, 'poses')
    chosen, background = chosen_people(config, **people)
    dataset: Any = data_loader(config, 'val').dataset
    links = dataset.metainfo['skeleton_links']
    _write(pose_columns(networks, chosen, links, background), out)


def chosen_people(
    config: Any, start: int = 0, count: int = 4, photo: bool = True
) -> tuple[list[dict[str, Any]], Background]:
    """Samples of the validation data, and what they are drawn on."""
    people = read_people(config, start, count)
    if photo:
        return people, crop_of
    return people, partial(blank_of, grid=puzzle_grid(config))


def _write(
    columns: Mapping[str, Sequence[np.ndarray]], out: str | Path
) -> None:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    plot_panels(columns, out)


def read_people(config: Any, start: int, count: int) -> list[dict[str, Any]]:
    """Samples of the validation data."""
    init_default_scope(config.get('default_scope', 'mmpose'))
    people: Any = data_loader(config, 'val').dataset
    if count < 1 or not 0 <= start <= len(people) - count:
        raise ValueError(
            f'--start {start} --count {count}: there are {len(people)} '
            'people; choose others'
        )
    return [people[index] for index in range(start, start + count)]


def predict(config: Any, checkpoint: str, people: Sequence[Any]) -> list[Any]:
    """Data samples with predictions and heat maps."""
    network: Any = frozen_network(config, checkpoint)
    network.test_cfg = {**network.test_cfg, 'output_heatmaps': True}
    batch = dict(
        inputs=[one['inputs'] for one in people],
        data_samples=[one['data_samples'].clone() for one in people],
    )
    with torch.no_grad():
        return list(network.test_step(batch))


def crop_of(person: Mapping[str, Any]) -> np.ndarray:
    """The crop (H, W, 3), uint8, red-green-blue."""
    pixels = person['inputs'].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels[..., ::-1])


def blank_of(
    person: Mapping[str, Any], grid: tuple[int, int] | None
) -> np.ndarray:
    """In place of the crop: grey, or colours shuffled as its patches are."""
    height, width = person['inputs'].shape[1:]
    blank = np.full((height, width, 3), 225, np.uint8)
    if grid is None:
        return blank
    blank[..., 0] = np.linspace(60, 250, height)[:, None]
    blank[..., 1] = 130
    blank[..., 2] = np.linspace(60, 250, width)
    order = person['data_samples'].jigsaw_permutation
    return np.ascontiguousarray(rearrange(blank, order, grid))


def in_crop(points: np.ndarray, sample: Any) -> np.ndarray:
    """Joints (J, 2) of the photo in pixels of the crop."""
    size, scale = np.array(sample.input_size), np.array(sample.input_scale)
    return (points - sample.input_center + 0.5 * scale) / scale * size


def puzzle_grid(config: Any) -> tuple[int, int] | None:
    """The grid of a network for puzzles, None of one for joints."""
    decoder = config.model.get('head', {}).get('decoder', {})
    if type_name(decoder.get('type')) != 'JigsawHeatmap':
        return None
    rows, columns = decoder.get('grid_size', (4, 3))
    return rows, columns


def check_task(name: str, config: Any, task: str) -> None:
    """Refuse puzzles of a network for joints, and the reverse."""
    other = 'puzzles' if puzzle_grid(config) else 'poses'
    if other != task:
        raise ValueError(
            f'{task}: the network of config="{name}" is one for {other}; give '
            f'another config, or draw {other}'
        )


def puzzle_columns(
    config: Any,
    checkpoint: str,
    people: Sequence[Any],
    background: Background,
) -> dict[str, list[np.ndarray]]:
    """Pictures of puzzles by column."""
    columns: dict[str, list[np.ndarray]] = {
        'true, found': [],
        'heat maps': [],
        'put together': [],
        'before': [],
    }
    samples = predict(config, checkpoint, people)
    grid: Any = puzzle_grid(config)
    for person, sample in zip(people, samples, strict=True):
        crop, order = background(person), sample.jigsaw_permutation
        found = sample.pred_instances.patch_slots[0]
        maps = sample.pred_fields.heatmaps.cpu().numpy()
        pictures = (
            draw_slots(crop, found, order, grid),
            draw_heatmaps(maps, grid, crop),
            reassemble(crop, found, grid),
            rearrange(crop, np.argsort(order), grid),
        )
        for column, picture in zip(columns.values(), pictures, strict=True):
            column.append(picture)
    return columns


def pose_columns(
    networks: Sequence[Sequence[str]],
    people: Sequence[Any],
    links: Any,
    background: Background,
) -> dict[str, list[np.ndarray]]:
    """Pictures of poses: the truth, then the networks."""
    columns: dict[str, list[np.ndarray]] = {'truth': []}
    for person in people:
        sample = person['data_samples']
        truth = sample.gt_instances
        points = in_crop(truth.keypoints[0], sample)
        visible = truth.keypoints_visible[0]
        picture = draw_pose(background(person), points, links, visible)
        columns['truth'].append(picture)
    for name, config, checkpoint in networks:
        own = read_config(config)
        check_task(config, own, 'poses')
        samples = predict(own, checkpoint, people)
        columns[name] = [
            draw_pose(
                background(person),
                in_crop(sample.pred_instances.keypoints[0], sample),
                links,
            )
            for person, sample in zip(people, samples, strict=True)
        ]
    return columns
