"""DatasetLabelsHook, in a real run of the memory form of MCL."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.engine.hooks import DatasetLabelsHook
from mmkd.toys import toy_classifier
from tests.support.toy_runner import make_runner


class Asking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.told: Any = None

    def set_dataset_labels(self, labels: Any, device: Any) -> None:
        self.told = (list(labels), device)


def runner(model: nn.Module, dataset: Any) -> Any:
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(model=model, train_dataloader=loader)


def test_every_part_that_asks_is_told() -> None:
    dataset = SimpleNamespace(get_gt_labels=lambda: [2, 0, 1])
    model = nn.ModuleList([Asking(), nn.ReLU(), Asking()])
    DatasetLabelsHook().before_train(runner(model, dataset))
    expected = ([2, 0, 1], torch.device('cpu'))
    assert model[0].told == expected and model[2].told == expected


def test_mistakes() -> None:
    with pytest.raises(TypeError, match='is a list, which has no get_gt_lab'):
        DatasetLabelsHook().before_train(runner(Asking(), [1, 2]))
    with pytest.raises(ValueError, match='remove the hook'):
        DatasetLabelsHook().before_train(runner(nn.Linear(1, 1), [1, 2]))


def memory_cohort() -> dict[str, Any]:
    return dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[toy_classifier()] * 2),
        taps=dict(feats='neck'),
        aux_heads=dict(
            embeds=dict(type='mmkd.ContrastiveEmbedding', on='feats')
        ),
        exchange=dict(
            type='mmkd.MemoryMutualContrastiveExchange',
            on='embeds',
            loss=dict(
                type='mmkd.MemoryMutualContrastiveLoss',
                num_peers=2,
                num_samples=6,
            ),
            num_negatives=8,
        ),
        input_shape=(3, 64, 64),
    )


def train(folder: Any, *hooks: dict[str, Any]) -> Any:
    run = make_runner(
        str(folder),
        memory_cohort(),
        'classification',
        steps=3,
        hooks=hooks,
        pipeline=[
            dict(type='mmkd.LoadScene'),
            dict(type='PackInputs', meta_keys=('sample_idx', 'img_shape')),
        ],
    )
    run.train()
    return run


def test_a_run_of_the_memory_form(tmp_path) -> None:
    run = train(tmp_path, dict(type='mmkd.DatasetLabelsHook'))
    (exchange,) = run.model.exchanges
    labels = run.train_dataloader.dataset.get_gt_labels()
    classes = exchange.contrast_indices.classes
    for i in range(6):
        for j in range(6):
            assert (labels[i] == labels[j]) == (classes[i] == classes[j])
    norms = exchange.loss.banks.norm(dim=2)
    assert ((norms - 1).abs() < 1e-5).sum() == 2 * 6  # every image was seen


def test_a_run_without_the_hook_says_what_is_missing(tmp_path) -> None:
    with pytest.raises(ValueError, match='add custom_hooks=.*DatasetLabels'):
        train(tmp_path)
