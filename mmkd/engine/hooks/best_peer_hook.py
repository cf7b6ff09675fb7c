"""Deploy the peer that is best on the validation set."""

from __future__ import annotations

import math
import re
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd.engine.hooks.runner_parts import averaged_models
from mmkd.registry import HOOKS
from mmkd.utils.dist import unwrapped

_BETTER = dict(greater=max, less=min)


@HOOKS.register_module()
class BestPeerHook(Hook):
    """Tell the distiller, after each validation, which peer is best.

    ``model.set_best_peer(k)`` writes the persistent buffer that
    ``deploy='best'`` reads. Of equal peers the first one wins. The metrics
    without a peer's name, measured with the choice before, are replaced by
    those of the new choice, so that ``save_best`` compares what is deployed.

    It runs before logs and ``save_best``. A regular checkpoint is written
    before the validation of its epoch, so it holds the choice of the
    validation before, unless ``save_best`` finds a new best and writes it
    again.

    Args:
        metric: name of the metric without the peer's, as `PeerMetric` gives
            it.
        rule: ``'greater'`` or ``'less'`` is better.
    """

    priority = 55  # after EMAHook, before LoggerHook

    def __init__(
        self, metric: str = 'accuracy/top1', rule: str = 'greater'
    ) -> None:
        if rule not in _BETTER:
            raise ValueError(
                f'BestPeerHook: rule={rule!r} is unknown; use "greater" or '
                '"less"'
            )
        self.metric = metric
        self.rule = rule

    def before_train(self, runner: Runner) -> None:
        """Check the model.

        Raises:
            TypeError: it has no ``set_best_peer``.
            ValueError: it deploys a fixed peer.
        """
        model = unwrapped(runner.model)
        if not hasattr(model, 'set_best_peer'):
            raise TypeError(
                f'BestPeerHook: the model {type(model).__name__} has no '
                'method set_best_peer; use the hook with mmkd.OnlineDistiller'
            )
        if model.deploy != 'best':
            raise ValueError(
                f'BestPeerHook: model.deploy={model.deploy!r} is fixed; set '
                "deploy='best', or remove the hook"
            )

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, Any] | None = None
    ) -> None:
        """Choose.

        Raises:
            KeyError: no peer has the metric.
            ValueError: the metric is not a number for any peer.
        """
        metrics = {} if metrics is None else metrics
        peer = self.best_peer(metrics)
        unwrapped(runner.model).set_best_peer(peer)
        for average in averaged_models(runner):  # that is what gets saved
            average.set_best_peer(peer)
        self._replace(runner, metrics, peer)
        runner.logger.info(
            f'Best peer: {peer} ({self.metric} '
            f'{float(metrics[f"peer{peer}/{self.metric}"]):.4f})'
        )

    def best_peer(self, metrics: dict[str, Any]) -> int:
        """Return the index of the best peer."""
        pattern = re.compile(rf'peer(\d+)/{re.escape(self.metric)}')
        values = {
            int(match[1]): float(value)
            for key, value in metrics.items()
            if (match := pattern.fullmatch(key))
        }
        if not values:
            raise KeyError(
                f'BestPeerHook: metric="{self.metric}": the validation gave '
                f'no "peer0/{self.metric}", only {", ".join(metrics) or "-"}; '
                "wrap the metric: val_evaluator=dict(type='mmkd.PeerMetric', "
                'metric=...)'
            )
        numbers = {k: v for k, v in values.items() if not math.isnan(v)}
        if not numbers:
            raise ValueError(
                f'BestPeerHook: metric="{self.metric}" is not a number for '
                f'any of {len(values)} peers; look for diverged training'
            )
        return _BETTER[self.rule](sorted(numbers), key=numbers.__getitem__)

    def _replace(
        self, runner: Runner, metrics: dict[str, Any], peer: int
    ) -> None:
        """Give the deployed network's metrics the values of ``peer``."""
        prefix = f'peer{peer}/'
        for key in [key for key in metrics if key.startswith(prefix)]:
            name = key[len(prefix) :]
            if name in metrics:
                metrics[name] = metrics[key]
                runner.message_hub.update_scalar(f'val/{name}', metrics[key])
