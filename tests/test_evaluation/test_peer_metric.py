"""PeerMetric gives what one evaluation per network would give."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.structures import BaseDataElement
from torch import distributed, multiprocessing

from mmkd.evaluation import PeerMetric
from mmkd.networks import build_network
from mmkd.registry import DATASETS
from mmkd.toys import toy_batch, toy_dataset, toy_network

NAMES = ('peer0', 'peer1', 'ensemble')
METRICS: dict[str, dict[str, Any]] = dict(
    classification=dict(type='mmpretrain.Accuracy', topk=(1, 2)),
    segmentation=dict(type='mmseg.IoUMetric', iou_metrics=['mIoU']),
    pose=dict(type='mmpose.PCKAccuracy', thr=0.3),
    detection=dict(type='mmdet.VOCMetric', iou_thrs=[0.05]),
    coco=dict(type='mmdet.CocoMetric', metric='bbox'),
)
REPOSITORY = dict(
    classification='mmpretrain',
    segmentation='mmseg',
    pose='mmpose',
    detection='mmdet',
)


def predictions(task: str, seed: int) -> list[BaseDataElement]:
    """What a network with random weights makes of the toy batch."""
    torch.manual_seed(seed)
    spec = toy_network(task, width=4)
    if task == 'detection':
        spec.test_cfg.score_thr = 0.0
    network = build_network(spec).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1:  # untrained networks would all agree
            torch.nn.init.normal_(parameter, std=0.2)
    batch = copy.deepcopy(toy_batch(task, 4, split='val'))
    with torch.no_grad():
        samples = network.test_step(batch)
    if task == 'detection':
        for sample in samples:  # what CocoMetric reads without a file
            sample.set_metainfo(dict(instances=boxes(sample)))
    return samples


def boxes(sample: BaseDataElement) -> list[dict[str, Any]]:
    truth = sample.gt_instances
    return [
        dict(bbox=box.tolist(), bbox_label=int(label), ignore_flag=0)
        for box, label in zip(truth.bboxes, truth.labels, strict=True)
    ]


def meta(task: str) -> dict[str, Any]:
    return DATASETS.build(toy_dataset(task, 1)).metainfo


def evaluate(metric: Any, task: str, samples: list[Any]) -> dict[str, Any]:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = meta(task)
    evaluator.process(samples[:2])
    evaluator.process(samples[2:])
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize(
    ('case', 'nested'),
    [
        *(
            pytest.param(
                case,
                'samples',
                marks=() if case == 'segmentation' else pytest.mark.slow,
            )
            for case in METRICS
        ),
        *(
            pytest.param('segmentation', kind, marks=pytest.mark.slow)
            for kind in ('dicts', 'element')
        ),
    ],
)
def test_equals_one_evaluation_per_network(case: str, nested: str) -> None:
    task = 'detection' if case == 'coco' else case
    pytest.importorskip(REPOSITORY[task])
    metric = METRICS[case]
    outputs = {name: predictions(task, i) for i, name in enumerate(NAMES)}
    expected = {
        name: evaluate(dict(metric), task, copy.deepcopy(samples))
        for name, samples in outputs.items()
    }
    assert len({str(e) for e in expected.values()}) > 1

    samples = copy.deepcopy(outputs['peer1'])
    for index, sample in enumerate(samples):
        peers = {name: outputs[name][index] for name in NAMES}
        if nested == 'dicts':
            peers = {name: peer.to_dict() for name, peer in peers.items()}
        if nested == 'element':
            element = BaseDataElement()
            for name, peer in peers.items():
                element.set_field(peer, name)
            peers = element
        sample.set_field(peers, 'peer_samples')
    wrapped = dict(type='mmkd.PeerMetric', metric=metric)
    found = evaluate(wrapped, task, samples)

    keys = list(expected['peer1'])
    assert list(found)[: len(keys)] == keys
    for key in keys:
        assert found[key] == pytest.approx(expected['peer1'][key], nan_ok=True)
        for name in NAMES:
            assert found[f'{name}/{key}'] == pytest.approx(
                expected[name][key], nan_ok=True
            )
        mean = (expected['peer0'][key] + expected['peer1'][key]) / 2
        assert found[f'peers_mean/{key}'] == pytest.approx(mean, nan_ok=True)
    assert len(found) == len(keys) * 5


class Count(BaseMetric):
    """Mean of ``pred_value`` where the label is known; list of labels."""

    default_prefix = 'count'

    def __init__(self, outfile_prefix: str | None = None) -> None:
        super().__init__()
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: Any, data_samples: Any) -> None:
        for sample in data_samples:
            self.results.append((sample['pred_value'], sample['label']))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        values = [value for value, _ in results]
        return dict(
            mean=sum(values) / len(values),
            labels=[label for _, label in results],
            file=self.outfile_prefix,
        )


@pytest.fixture
def count() -> Any:
    ROOT_METRICS.register_module(name='TestCount', module=Count)
    yield dict(type='mmengine.TestCount')
    ROOT_METRICS._module_dict.pop('TestCount')


def sample(value: float, peers: dict[str, float], label: int = 0) -> dict:
    return dict(
        label=label,
        pred_value=value,
        pred_stale=1,
        peer_samples={k: dict(pred_value=v) for k, v in peers.items()},
    )


def test_labels_come_from_the_carrying_sample(count: dict) -> None:
    metric = PeerMetric(count)
    metric.process(None, [sample(1.0, dict(peer0=2.0), label=7)])
    found = metric.evaluate(1)
    assert found['count/labels'] == found['peer0/count/labels'] == [7]
    assert 'peers_mean/count/mean' not in found  # of one peer: no news


def test_predictions_never_do(count: dict) -> None:
    metric = PeerMetric(count)
    broken = sample(1.0, dict(peer0=2.0))
    broken['peer_samples']['peer0'] = dict(pred_label=3)
    with pytest.raises(KeyError, match='pred_value'):
        metric.process(None, [broken])


def test_mean_is_over_numbered_peers_and_numbers_only(count: dict) -> None:
    metric = PeerMetric(count)
    peers = dict(peer0=1.0, peer1=2.0, peer10=6.0, gated=50.0)
    metric.process(None, [sample(0.0, peers)])
    found = metric.evaluate(1)
    assert found['peers_mean/count/mean'] == 3.0
    assert 'peers_mean/count/labels' not in found
    assert found['gated/count/mean'] == 50.0


def test_plain_network_gives_the_plain_metric(count: dict) -> None:
    for names in (None, ['peer0']):
        metric = PeerMetric(count, names=names)
        metric.process(None, [dict(label=1, pred_value=4.0)])
        assert metric.evaluate(1) == {
            'count/mean': 4.0,
            'count/labels': [1],
            'count/file': None,
        }


def test_results_do_not_leak_into_the_next_validation(count: dict) -> None:
    metric = PeerMetric(count)
    for value in (1.0, 3.0):
        metric.process(None, [sample(value, dict(peer0=2 * value))])
        found = metric.evaluate(1)
        assert found['count/mean'] == value
        assert found['peer0/count/mean'] == 2 * value


def test_names_choose_entries(count: dict) -> None:
    metric = PeerMetric(count, names=['gated'])
    metric.process(None, [sample(0.0, dict(peer0=1.0, gated=2.0))])
    assert [k for k in metric.evaluate(1) if k.endswith('mean')] == [
        'count/mean',
        'gated/count/mean',
    ]


def test_files_get_the_name_of_the_peer(count: dict) -> None:
    config = dict(count, outfile_prefix='work_dirs/run/results')
    metric = PeerMetric(config)
    metric.process(None, [sample(0.0, dict(peer0=1.0))])
    found = metric.evaluate(1)
    assert found['count/file'] == 'work_dirs/run/results'
    assert found['peer0/count/file'] == str(
        Path('work_dirs/run/results_peer0')
    )


def test_mistakes_are_named(count: dict) -> None:
    with pytest.raises(TypeError, match=r'metric=.*PeerMetric|metric='):
        PeerMetric('mmpretrain.Accuracy')
    with pytest.raises(TypeError, match="names='peer0'.*list"):
        PeerMetric(count, names='peer0')
    with pytest.raises(KeyError, match=r"names=.*'peer7'.*'peer0'"):
        PeerMetric(count, names=['peer7']).process(
            None, [sample(0.0, dict(peer0=1.0))]
        )
    mixed = [sample(0.0, dict(peer0=1.0)), sample(0.0, dict(peer1=1.0))]
    with pytest.raises(ValueError, match='sample 1 has'):
        PeerMetric(count).process(None, mixed)


def worker(rank: int, folder: str, value: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store{value}',
        rank=rank,
        world_size=2,
    )
    samples = distributed_samples()[rank::2]
    if value == 'uneven' and rank == 1:
        samples = []
    torch.save(run(samples, 5), f'{folder}/{value}{rank}.pth')
    distributed.barrier()


def distributed_samples() -> list[dict]:
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    return [
        sample(v, dict(peer0=10 * v, peer1=v + 1), label=i)
        # a sampler fills up the last round with the first sample
        for i, v in enumerate([*values, values[0]])
    ]


def run(samples: list[dict], size: int) -> dict[str, Any]:
    ROOT_METRICS.register_module(name='TestCount', module=Count, force=True)
    metric = PeerMetric(dict(type='mmengine.TestCount'))
    for each in samples:
        metric.process(None, [each])
    found = metric.evaluate(size)
    ROOT_METRICS._module_dict.pop('TestCount')
    return found


@pytest.mark.slow
@pytest.mark.parametrize('value', ['even', 'uneven'])
def test_two_processes_give_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.chdir(tmp_path)  # mmengine exchanges results in the cwd
    multiprocessing.spawn(worker, args=(str(tmp_path), value), nprocs=2)
    samples = distributed_samples()
    single = run(samples[::2] if value == 'uneven' else samples, 5)
    for rank in range(2):
        found = torch.load(tmp_path / f'{value}{rank}.pth', weights_only=True)
        assert found == single
