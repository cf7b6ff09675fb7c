"""Draw solved puzzles, or poses of several networks side by side.

    python tools/plot_pose.py puzzles CONFIG CHECKPOINT
    python tools/plot_pose.py poses CONFIG --network A CONFIG CHECKPOINT \\
        --network B CONFIG CHECKPOINT

Puzzles: the shuffled crop with true patches (white) and found ones (green,
red), the heat maps, the crop put together again, the crop as it was. The
pictures are those of the validation data of CONFIG; --no-photo draws on a
blank in their place, e.g. for data that may not be passed on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.evaluation.features import (  # noqa: E402
    data_loader,
    frozen_network,
)
from mmkd.utils.patch_grid import rearrange  # noqa: E402
from mmkd.visualization import (  # noqa: E402
    draw_heatmaps,
    draw_pose,
    draw_slots,
    plot_panels,
    reassemble,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    puzzles = tasks.add_parser('puzzles', help='of one pretraining run')
    puzzles.add_argument('config')
    puzzles.add_argument('checkpoint')
    poses = tasks.add_parser('poses', help='of several networks')
    poses.add_argument('config', help='whose validation data are drawn')
    poses.add_argument(
        '--network',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
    )
    for name, each in tasks.choices.items():
        each.add_argument('--count', type=int, default=4, help='of people')
        each.add_argument('--start', type=int, default=0, help='first one')
        each.add_argument(
            '--no-photo', action='store_true', help='draw on a blank'
        )
        each.add_argument('--out', default=f'{name}.png', help='PNG file')
        each.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def read_people(config: Any, start: int, count: int) -> list[dict[str, Any]]:
    """Samples of the validation data."""
    init_default_scope(config.get('default_scope', 'mmpose'))
    people = data_loader(config, 'val').dataset
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


Background = Callable[[Mapping[str, Any]], np.ndarray]


def crop_of(person: Mapping[str, Any]) -> np.ndarray:
    """The crop (H, W, 3), uint8, red-green-blue."""
    pixels = person['inputs'].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels[..., ::-1])


def blank_of(
    person: Mapping[str, Any], grid: tuple[int, ...] | None
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


def puzzle_grid(config: Any) -> tuple[int, ...] | None:
    """The grid of a network for puzzles, None of one for joints."""
    decoder = config.model.get('head', {}).get('decoder', {})
    if not str(decoder.get('type')).endswith('JigsawHeatmap'):
        return None
    return tuple(decoder.get('grid_size', (4, 3)))


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


def run(args: argparse.Namespace) -> None:
    config = read_config(args.config)
    check_task(args.config, config, args.task)
    people = read_people(config, args.start, args.count)
    background: Background = crop_of
    if args.no_photo:
        background = partial(blank_of, grid=puzzle_grid(config))
    if args.task == 'puzzles':
        columns = puzzle_columns(config, args.checkpoint, people, background)
    else:
        dataset = data_loader(config, 'val').dataset
        links = dataset.metainfo['skeleton_links']
        columns = pose_columns(args.network, people, links, background)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    plot_panels(columns, args.out)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        run(args)
    print(args.out)


if __name__ == '__main__':
    main()
