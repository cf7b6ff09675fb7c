"""HeldOutWeightsHook, in real runs of KDCL-General."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmkd.engine.hooks import HeldOutWeightsHook
from mmkd.engine.hooks.held_out_weights_hook import held_out_covariance
from mmkd.registry import DATASETS, MODELS
from mmkd.toys import toy_classifier, toy_dataset
from tests.references import okd_baselines as reference
from tests.support.toy_runner import Diary, Interruption, make_runner

HELD_OUT = dict(
    batch_size=3,
    num_workers=0,
    dataset=toy_dataset('classification', num_samples=8),
)


def cohort(target: str = 'general', **settings: Any) -> dict[str, Any]:
    return dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[toy_classifier()] * 2),
        taps=dict(logits='head.fc'),
        exchange=dict(
            type='mmkd.KnowledgeCollaborationExchange', target=target
        ),
        dry_run=False,
        **settings,
    )


class Weights(Diary):
    """Notes the weights of every step as well."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(stop_after)
        self.weights: dict[int, tuple[int, list[float]]] = {}

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        super().after_train_iter(runner, *args, **kwargs)
        (exchange,) = runner.model.exchanges
        value = (int(exchange.weights_of), exchange.weights.tolist())
        self.weights[runner.iter] = value
        assert all(m.training for m in runner.model.modules())


def run(folder: Any, interval: int | None = None, **settings: Any) -> Weights:
    diary = Weights(settings.pop('stop_after', None))
    hook = dict(
        type='mmkd.HeldOutWeightsHook', dataloader=HELD_OUT, interval=interval
    )
    runner = make_runner(
        str(folder),
        settings.pop('model', cohort()),
        'classification',
        steps=6,
        diary=diary,
        hooks=settings.pop('hooks', [hook]),
        pipeline=[
            dict(type='mmkd.LoadScene'),
            dict(type='PackInputs', meta_keys=('sample_idx',)),
        ],
        **settings,
    )
    with suppress(Interruption):
        runner.train()
    diary.runner = runner
    return diary


def test_covariance_is_that_of_the_peers_alone() -> None:
    model = MODELS.build(cohort())
    dataset = DATASETS.build(HELD_OUT['dataset'])
    batches = [
        pseudo_collate([dataset[i] for i in part])
        for part in ((0, 1, 2), (3, 4, 5), (6, 7))
    ]
    found = held_out_covariance(model, batches)
    assert model.training and model.cohort[1].head.fc.training
    model.eval()
    probabilities = []
    for peer in model.cohort.peers:
        samples = [s for data in batches for s in peer.val_step(data)]
        probabilities.append(torch.stack([s.pred_score for s in samples]))
    expected = reference.error_covariance(
        torch.stack(probabilities).double(),
        torch.tensor(dataset.get_gt_labels()),
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_once_an_epoch_and_exact_after_an_interruption(tmp_path) -> None:
    whole = run(tmp_path / 'whole', by_epoch=True)
    epochs = {step: number for step, (number, _) in whole.weights.items()}
    assert epochs == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    first, second = whole.weights[0][1], whole.weights[3][1]
    assert first != second
    assert sum(first) == pytest.approx(1) and sum(second) == pytest.approx(1)
    run(tmp_path / 'part', by_epoch=True, stop_after=4)
    rest = run(tmp_path / 'part', by_epoch=True, resume=True)
    for step in (3, 4, 5):
        assert rest.weights[step] == whole.weights[step]
        assert rest.losses[step] == whole.losses[step]


@pytest.mark.slow
def test_by_iterations_exact_between_two_computations(tmp_path) -> None:
    whole = run(tmp_path / 'whole', interval=2, save_every=3)
    numbers = [number for number, _ in whole.weights.values()]
    assert numbers == [0, 0, 2, 2, 4, 4]
    run(tmp_path / 'part', interval=2, save_every=3, stop_after=4)
    rest = run(tmp_path / 'part', interval=2, save_every=3, resume=True)
    assert sorted(rest.weights) == [3, 4, 5]
    for step in (3, 4, 5):  # 3 uses weights from before the interruption
        assert rest.weights[step] == whole.weights[step]
        assert rest.losses[step] == whole.losses[step]


def test_a_run_without_the_hook_says_what_is_missing(tmp_path) -> None:
    with pytest.raises(ValueError, match='needs dict.*HeldOutWeightsHook'):
        run(tmp_path, hooks=[])


def test_a_model_that_does_not_need_it(tmp_path) -> None:
    with pytest.raises(ValueError, match='remove the hook'):
        run(tmp_path, model=cohort('mean'))


def test_predictions_without_the_peers(tmp_path) -> None:
    with pytest.raises(TypeError, match='evaluate_peers=True'):
        run(tmp_path, model=cohort(evaluate_peers=False), by_epoch=True)


@pytest.mark.parametrize('indices', [None, [0, 1]])
def test_test_samples_are_refused(tmp_path, indices) -> None:
    test_set = toy_dataset('classification', num_samples=4, split='val')
    held_out = {**HELD_OUT, 'dataset': {**test_set, 'indices': indices}}
    hook = dict(type='mmkd.HeldOutWeightsHook', dataloader=held_out)
    given = Config(dict(val_dataloader=dict(batch_size=2, dataset=test_set)))
    with pytest.raises(ValueError, match='reads the samples of val_dataload'):
        run(tmp_path, hooks=[hook], cfg=given)


def test_wrong_interval() -> None:
    with pytest.raises(ValueError, match='interval=0 must be at least 1'):
        HeldOutWeightsHook(HELD_OUT, interval=0)
