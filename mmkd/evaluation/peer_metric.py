"""Any metric, for every peer of a cohort in one pass."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import PurePath
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.structures import BaseDataElement

from mmkd.registry import METRICS

PEER = re.compile(r'peer\d+')
# Fields of a data sample that are predictions; all others belong to the image.
_PREDICTIONS = re.compile(r'pred_|seg_logits|sem_seg_logits')
# Arguments of metrics that name files to write.
_OUTPUTS = ('outfile_prefix', 'out_file_path', 'output_dir')


@METRICS.register_module()
class PeerMetric(BaseMetric):
    """A metric of the deployed network and of every peer.

    Data samples of a cohort carry ``peer_samples``: name (``'peer0'``, an
    auxiliary classifier, ``'ensemble'``) -> data sample of the same kind.
    One copy of the metric reads the deployed network's predictions and keeps
    its keys (``'accuracy/top1'``); one more per name gives
    ``'peer0/accuracy/top1'``, ``'ensemble/accuracy/top1'`` and so on, and
    ``'peers_mean/accuracy/top1'`` is the mean over ``peer0``, ``peer1``, ...
    The samples of a plain network have no peers: only the metric remains.

    What a peer's sample leaves out (labels, image sizes) is taken from the
    sample that carries it. Files that the metric writes get the peer's name.

    Args:
        metric: config of any metric of mmengine or of a task repository.
        names: entries of ``peer_samples`` to evaluate; default: all.
    """

    default_prefix = ''

    def __init__(
        self, metric: dict[str, Any], names: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        if not isinstance(metric, Mapping) or 'type' not in metric:
            raise TypeError(
                f'PeerMetric: metric={metric!r} is not the config of a '
                "metric; give e.g. metric=dict(type='mmpretrain.Accuracy')"
            )
        if isinstance(names, str):
            raise TypeError(
                f'PeerMetric: names={names!r} must be a list, e.g. [{names!r}]'
            )
        self.metric = dict(metric)
        self.names = None if names is None else list(names)
        self._deployed: BaseMetric = self._build('')
        self._peers: dict[str, BaseMetric] = {}

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """Classes and the like, handed on to all copies."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        self._dataset_meta = dataset_meta
        for metric in (self._deployed, *self._peers.values()):
            metric.dataset_meta = dataset_meta

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Hand a batch to all copies.

        Raises:
            KeyError: ``names`` has an entry that the samples lack.
            ValueError: the samples do not all have the same peers.
        """
        shared = [_without_peers(sample) for sample in data_samples]
        peers = [_peers_of(sample) for sample in data_samples]
        self._deployed.process(data_batch, shared)
        for name in self._chosen(peers):
            if name not in self._peers:
                self._peers[name] = self._build(name)
            mine = [
                {**_image_fields(one), **_as_dict(other[name])}
                for one, other in zip(shared, peers, strict=True)
            ]
            self._peers[name].process(data_batch, mine)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Evaluate all copies; the deployed network's keys come first.

        Args:
            size: number of samples of the data set.
        """
        metrics = dict(self._deployed.evaluate(size))
        of_peers: dict[str, list[float]] = {}
        for name in self._names_of_all_ranks():
            if name not in self._peers:
                self._peers[name] = self._build(name)
            for key, value in self._peers[name].evaluate(size).items():
                metrics[f'{name}/{key}'] = value
                if PEER.fullmatch(name) and isinstance(value, Real):
                    of_peers.setdefault(key, []).append(float(value))
        for key, values in of_peers.items():
            if len(values) > 1:
                metrics[f'peers_mean/{key}'] = sum(values) / len(values)
        self._peers.clear()
        return metrics

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Nothing: the copies keep the results and compute from them."""
        return {}

    def _chosen(self, peers: list[dict[str, Any]]) -> list[str]:
        """Names to evaluate in this batch."""
        present = list(peers[0]) if peers else []
        for index, other in enumerate(peers):
            if set(other) != set(present):
                raise ValueError(
                    f'PeerMetric: sample 0 of the batch has the peer_samples '
                    f'{present}, sample {index} has {list(other)}; a network '
                    'must give the same names for every image'
                )
        if self.names is None or not present:
            return present
        unknown = [name for name in self.names if name not in present]
        if unknown:
            raise KeyError(
                f'PeerMetric: names={self.names}: the data samples have no '
                f'peer_samples {unknown}, only {present}; correct names'
            )
        return self.names

    def _names_of_all_ranks(self) -> list[str]:
        """Names seen by any process: all must evaluate the same copies."""
        parts = all_gather_object(list(self._peers))
        return list(dict.fromkeys(name for part in parts for name in part))

    def _build(self, name: str) -> BaseMetric:
        config = copy.deepcopy(self.metric)
        for key in _OUTPUTS:
            if name and config.get(key):
                path = PurePath(config[key])
                config[key] = str(
                    path.with_name(f'{path.stem}_{name}{path.suffix}')
                )
        metric = ROOT_METRICS.build(config)
        if self._dataset_meta is not None:
            metric.dataset_meta = self._dataset_meta
        return metric


def _as_dict(sample: Any) -> dict[str, Any]:
    """A data sample as the evaluator hands it to metrics."""
    if isinstance(sample, BaseDataElement):
        return sample.to_dict()
    return dict(sample)


def _peers_of(sample: Mapping[str, Any]) -> dict[str, Any]:
    return _as_dict(sample.get('peer_samples') or {})


def _without_peers(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in sample.items() if k != 'peer_samples'}


def _image_fields(sample: Mapping[str, Any]) -> dict[str, Any]:
    """What does not depend on the network."""
    return {k: v for k, v in sample.items() if not _PREDICTIONS.match(k)}
