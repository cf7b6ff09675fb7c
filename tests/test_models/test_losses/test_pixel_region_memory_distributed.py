"""Two gloo processes against one process that holds all images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from mmkd.models.losses import PixelRegionMemoryLoss
from tests.references import cirkd

QUEUES = ('pixel_queue', 'region_queue', 'pixel_ptr', 'region_ptr')
STEPS = 3


def build(seed: int) -> PixelRegionMemoryLoss:
    torch.manual_seed(seed)
    loss = PixelRegionMemoryLoss(
        num_classes=4,
        student_channels=6,
        teacher_channels=8,
        pixel_memory_size=40,
        region_memory_size=5,
        pixel_contrast_size=47,
        region_contrast_size=8,
        pixel_sampling='class',
    )
    loss.projection.eval()  # batch statistics differ between batch sizes
    return loss


def step_data(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    labels = torch.randint(0, 4, (4, 6, 7), generator=generator)
    labels[0, :3] = 255
    return dict(
        student=torch.randn(4, 6, 6, 7, generator=generator),
        teacher=torch.randn(4, 8, 6, 7, generator=generator),
        labels=labels,
        draws=cirkd.draw_positions(labels, 255, 16, generator),
        pixel_index=torch.randperm(40, generator=generator)[:12],
        region_index=torch.randperm(5, generator=generator)[:3],
    )


def part_of(data: dict[str, torch.Tensor], images: slice):
    """Cut a batch, numbering the images of the draws anew."""
    draws = data['draws']
    mine = (draws[:, 0] >= images.start) & (draws[:, 0] < images.stop)
    draws = draws[mine].clone()
    draws[:, 0] -= images.start
    cut = {key: data[key][images] for key in ('student', 'teacher', 'labels')}
    return {**data, **cut, 'draws': draws}


def run(loss: PixelRegionMemoryLoss, data: dict[str, torch.Tensor]):
    parts = loss(
        data['student'],
        data['teacher'],
        data['labels'],
        draws=data['draws'],
        pixel_index=data['pixel_index'],
        region_index=data['region_index'],
    )
    return {key: value.detach() for key, value in parts.items()}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=2,
    )
    # other queues on rank 1: they must start from those of rank 0
    loss = build(seed=rank)
    loss.projection.load_state_dict(build(seed=0).projection.state_dict())
    parts = []
    for step in range(STEPS):
        images = slice(2 * rank, 2 * rank + 2)
        parts.append(run(loss, part_of(step_data(step), images)))
    queues = {name: getattr(loss, name) for name in QUEUES}
    torch.save((queues, parts), f'{folder}/rank{rank}.pth')
    distributed.barrier()  # nobody leaves while the other still sends


@pytest.fixture(scope='module')
def ranks(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp('gloo')
    multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [
        torch.load(folder / f'rank{rank}.pth', weights_only=True)
        for rank in range(2)
    ]


@pytest.mark.slow
def test_queues_are_identical_on_both_ranks_and_in_one_process(ranks):
    single = build(seed=0)
    for step in range(STEPS):
        run(single, step_data(step))
    for name in QUEUES:
        first, second = ranks[0][0][name], ranks[1][0][name]
        assert torch.equal(first, second), name
        assert torch.equal(first, getattr(single, name)), name
    assert not torch.equal(single.pixel_queue, build(seed=0).pixel_queue)


def test_losses_of_a_rank_are_those_of_its_images(ranks):
    single = build(seed=0)
    for step in range(STEPS):
        data = step_data(step)
        run(single, data)
        single.eval()  # the same queues, without writing
        for rank in range(2):
            part = part_of(data, slice(2 * rank, 2 * rank + 2))
            expected = run(single, part)
            torch.testing.assert_close(ranks[rank][1][step], expected)
        single.train()
        single.projection.eval()
