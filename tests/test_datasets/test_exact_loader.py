"""Batches that do not depend on when and where they are made."""

from __future__ import annotations

import itertools
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from mmkd.datasets.exact_loader import ExactDataLoader, make_exact
from mmkd.datasets.seeded_items import Draw, SeededItems


class Dice:
    """Samples that draw from every generator."""

    def __init__(self, size: int = 6) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        assert type(index) is int
        return (
            index,
            random.random(),
            float(np.random.rand()),
            float(torch.rand(())),
        )


class Twice(BatchSampler):
    """Gives every index of a batch twice."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            yield [*batch, *batch]


def loader(
    sampler: Any = DefaultSampler,
    workers: int = 0,
    seed: int = 0,
    dataset: Any = None,
    **kwargs: Any,
) -> ExactDataLoader:
    dataset = dataset or Dice()
    made = DataLoader(
        dataset,
        batch_size=2,
        num_workers=workers,
        sampler=sampler(dataset, seed=3),
        collate_fn=list,
        **kwargs,
    )
    assert make_exact(made, seed) is made
    return made


def batches(
    data: ExactDataLoader, epoch: int = 0, skipped: int = 0, count: int = 3
) -> Any:
    data.epoch = epoch
    return list(itertools.islice(data.batches(skipped), count))


def test_numbers_follow_from_seed_epoch_and_index() -> None:
    first = batches(loader())
    torch.manual_seed(11)
    random.seed(11)
    assert batches(loader()) == first
    by_index = {sample[0]: sample for sample in sum(first, [])}
    assert len(by_index) == 6
    in_order = loader(lambda data, seed: range(6))
    for sample in sum(batches(in_order), []):
        assert sample == by_index[sample[0]]
    others = [batches(loader(seed=1)), batches(loader(), epoch=1)]
    drawn = {s[1:] for b in (first, *others) for s in sum(b, [])}
    assert len(drawn) == 18


@pytest.mark.parametrize('sampler', [DefaultSampler, InfiniteSampler])
def test_batches_can_be_skipped(sampler: Any) -> None:
    whole = batches(loader(sampler), count=7)
    rest = batches(loader(sampler), skipped=2, count=5)
    assert rest == whole[2:]


@pytest.mark.parametrize('persistent', [False, True])
def test_workers_change_nothing(persistent: bool) -> None:
    alone = loader(InfiniteSampler)
    aided = loader(InfiniteSampler, 2, persistent_workers=persistent)
    for skipped in (0, 3):
        one = batches(alone, skipped=skipped)
        assert batches(aided, skipped=skipped) == one


def test_an_endless_sampler_gives_other_numbers_in_every_pass() -> None:
    samples = sum(batches(loader(InfiniteSampler), count=6), [])
    assert sorted(s[0] for s in samples) == sorted([*range(6)] * 2)
    assert len({s[1] for s in samples}) == 12


def test_an_index_drawn_twice_gives_two_samples() -> None:
    data = Dice()
    made = DataLoader(
        data, batch_sampler=Twice(range(6), 2, False), collate_fn=list
    )
    samples = sum(batches(make_exact(made, 0)), [])
    assert len(samples) == 12
    assert len({s[1] for s in samples}) == 12


def test_generators_of_the_process_are_left_alone() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    expected = random.random(), np.random.rand(), float(torch.rand(()))
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    SeededItems(Dice())([Draw(1, (0, 1)), Draw(2, (0, 2))])
    found = random.random(), np.random.rand(), float(torch.rand(()))
    assert found == expected


@pytest.mark.slow
def test_a_pass_beside_another_changes_nothing() -> None:
    """As when batch norms are estimated anew while training."""
    data = loader(InfiniteSampler, 2, persistent_workers=True)
    whole = batches(loader(InfiniteSampler), count=4)
    training = iter(data)
    found = [next(training), next(training)]
    beside = list(itertools.islice(data, 2))
    found += [next(training), next(training)]
    assert found == whole
    assert beside == whole[:2]


def test_nothing_is_read_before_the_first_batch() -> None:
    class Watched(Dice):
        read = 0

        def __getitem__(self, index: int) -> Any:
            Watched.read += 1
            return super().__getitem__(index)

    iterator = iter(loader(dataset=Watched()))
    assert Watched.read == 0
    next(iterator)
    assert Watched.read == 2


def test_data_sets_that_read_whole_batches_still_do() -> None:
    class Batched(Dice):
        def __getitems__(self, indices: list[int]) -> list[Any]:
            return [('batch', *self[index]) for index in indices]

    found = batches(loader(dataset=Batched()))
    assert found == batches(loader(dataset=Batched()))
    assert all(sample[0] == 'batch' for sample in sum(found, []))


def test_loaders_without_indices_stay_as_they_are() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Any:
            return iter(range(4))

    for made in (
        DataLoader(Stream(), batch_size=2),
        DataLoader(Dice(), batch_size=None),
        DataLoader([1, 2]),
    ):
        assert type(make_exact(made, 0)) is DataLoader


def test_classes_and_attributes_stay() -> None:
    class Own(DataLoader):
        pass

    made = make_exact(Own(Dice(), batch_size=3), 0)
    assert isinstance(made, Own)
    assert isinstance(made, ExactDataLoader)
    assert type(made).__name__ == 'Own'
    assert (made.batch_size, len(made)) == (3, 2)
    assert isinstance(made.dataset, Dice)
    assert make_exact(made, 0) is made


def test_data_sets_can_be_sent_to_spawned_workers() -> None:
    dataset = loader().dataset
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.__getitems__([Draw(1, (0, 1))]) == dataset.__getitems__(
        [Draw(1, (0, 1))]
    )
