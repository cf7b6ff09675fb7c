"""Runners of a small network that is pruned, epochs of two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

STEPS_PER_EPOCH = 2
CONVS = ('conv0', 'conv1', 'conv2')


class Net(BaseModel):
    """Three convolutions, the third beside a shortcut, and a classifier."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        for k, (inside, outside) in enumerate([(3, 6), (6, 10), (10, 10)]):
            conv = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
            setattr(self, f'conv{k}', conv)
            setattr(self, f'norm{k}', nn.BatchNorm2d(outside))
        self.fc = nn.Linear(10, 5)
        self.to(dtype)

    def forward(
        self,
        inputs: Tensor,
        labels: Tensor | None = None,
        mode: str | None = None,
    ) -> Any:
        mode = mode or ('tensor' if labels is None else 'loss')
        x = self.norm0(self.conv0(inputs)).relu()
        x = self.norm1(self.conv1(x)).relu()
        x = (self.norm2(self.conv2(x)) + x).relu()
        logits = self.fc(x.mean((2, 3)))
        if mode == 'loss':
            return dict(loss=nn.functional.cross_entropy(logits, labels))
        return list(logits.unbind())


class ZeroFilters(BaseMetric):
    """Number of zero filters that the validation sees, in all layers."""

    model: nn.Module

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return dict(zeros=float(zero_filters(self.model)), loss=1.0)


def zero_filters(model: nn.Module) -> int:
    weights = [model.get_parameter(f'{name}.weight') for name in CONVS]
    return sum(int((w.flatten(1) == 0).all(1).sum()) for w in weights)


class Record(Hook):
    """Keeps weights before and after the mask, and all metrics."""

    priority = 'VERY_LOW'

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.after: dict[int, dict[str, Tensor]] = {}
        self.metrics: dict[int, dict[str, float]] = {}
        self.losses: list[float] = []

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ) -> None:
        self.losses.append(float(outputs['loss'].detach()))

    def after_train_epoch(self, runner) -> None:
        model = getattr(runner.model, 'module', runner.model)
        state = {k: v.clone() for k, v in model.state_dict().items()}
        self.after[runner.epoch] = state

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.metrics[runner.epoch] = dict(metrics)

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == self.stop_after:
            raise Stop


class Stop(Exception):
    """Ends a run as a crash does."""


class Batches(Hook):
    """Data set of ready batches; two per epoch, or all in a row."""

    by_epoch = True

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.labels, self.epoch = inputs, labels, 0

    def before_train_epoch(self, runner) -> None:
        self.epoch = runner.epoch

    def __len__(self) -> int:
        epochs = 1 if self.by_epoch else len(self.inputs)
        return STEPS_PER_EPOCH * epochs

    def __getitem__(self, k: int) -> dict[str, Tensor]:
        t, k = divmod(k, STEPS_PER_EPOCH)
        t += self.epoch
        return dict(inputs=self.inputs[t, k], labels=self.labels[t, k])


def as_loader(data: Batches) -> DataLoader:
    return DataLoader(data, batch_size=1, collate_fn=lambda items: items[0])


def random_batches(epochs: int, dtype=torch.float64) -> Batches:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(epochs, 2, 6, 3, 7, 7, generator=generator)
    labels = torch.randint(5, (epochs, 2, 6), generator=generator)
    return Batches(inputs.to(dtype), labels)


def make_runner(
    work_dir: Any,
    hook: dict[str, Any],
    *,
    epochs: int = 5,
    model: nn.Module | None = None,
    data: Batches | None = None,
    hooks: Sequence[Any] = (),
    validate: bool = False,
    optim_wrapper: dict[str, Any] | None = None,
    by_epoch: bool = True,
    **changes: Any,
) -> Runner:
    """Build the runner; ``hook`` are arguments of the pruning hook."""
    if model is None:
        torch.manual_seed(0)
        model = Net()
    data = data or random_batches(epochs)
    optimizer = dict(
        type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    data.by_epoch = by_epoch
    steps = STEPS_PER_EPOCH * epochs
    train_cfg: dict[str, Any] = dict(by_epoch=True, max_epochs=epochs)
    if not by_epoch:
        train_cfg = dict(by_epoch=False, max_iters=steps)
    cfg: dict[str, Any] = dict(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=as_loader(data),
        train_cfg=train_cfg,
        optim_wrapper=dict(optimizer=optimizer, **(optim_wrapper or {})),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=100),
            checkpoint=dict(type='CheckpointHook', interval=1),
        ),
        custom_hooks=[
            dict(
                type='mmkd.SoftFilterPruningHook',
                **{'include': ['^conv'], **hook},
            ),
            data,
            *hooks,
        ],
        randomness=dict(seed=0),
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=f'{abs(hash(str(work_dir)))}{len(changes)}',
    )
    if validate:
        metric = ZeroFilters()
        metric.model = model
        cfg['train_cfg'].setdefault('val_interval', 1)
        cfg.update(
            val_dataloader=as_loader(data),
            val_cfg=dict(),
            val_evaluator=[metric],
        )
    cfg.update(changes)
    return Runner(**cfg)
