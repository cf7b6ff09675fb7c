"""Small distillers of the four tasks, and tiny losses and heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import nn

from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_batch, toy_network

FEATS = dict(
    classification='backbone.layer4',
    segmentation='backbone.layer4',
    pose='backbone.layer4',
    detection='neck',
)
LOGITS = dict(
    classification='head.fc',
    segmentation='decode_head.conv_seg',
    pose='head.final_layer',
    detection='bbox_head.conv_cls',
)
SCOPES = dict(
    classification='mmpretrain',
    segmentation='mmseg',
    pose='mmpose',
    detection='mmdet',
)


@MODELS.register_module(force=True)
class TinyMSELoss(nn.Module):
    """Mean squared difference of two tensors, or of lists of them."""

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.calls = 0

    def forward(self, student: Any, teacher: Any) -> torch.Tensor:
        self.calls += 1
        if isinstance(student, torch.Tensor):
            student, teacher = [student], [teacher]
        terms = [
            (s - t).square().mean()
            for s, t in zip(student, teacher, strict=True)
        ]
        return self.loss_weight * torch.stack(terms).sum()


@MODELS.register_module(force=True)
class TinyExtrasLoss(nn.Module):
    """Takes all that a distiller supplies by name, and keeps it."""

    def forward(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
        sample_idx: torch.Tensor,
        epoch: int,
        iteration: int = -1,
    ) -> dict[str, torch.Tensor]:
        self.seen = dict(
            labels=labels,
            sample_idx=sample_idx,
            epoch=epoch,
            iteration=iteration,
        )
        zero = student.sum() * 0
        return dict(loss_extra_a=zero + 1, loss_extra_b=zero + 2)


@MODELS.register_module(force=True)
class TinyBranch(nn.Module):
    """Pooled features to joint logits."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, out_channels)

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        return self.fc(feats.mean((2, 3)))


@MODELS.register_module(force=True)
class TinyJointLoss(nn.Module):
    """Cross entropy of the joint labels of views."""

    def forward(
        self, logits: torch.Tensor, view_labels: torch.Tensor
    ) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, view_labels)


@pytest.fixture(scope='session')
def checkpoint(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., str]:
    """Weights of a network, made once: ``checkpoint(model, seed)``."""
    folder = tmp_path_factory.mktemp('checkpoints')
    made: dict[str, str] = {}

    def save(model: Any, seed: int = 1) -> str:
        key = f'{seed} {model}'
        if key not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = build_network(model)
                batch_norms = [
                    m
                    for m in network.modules()
                    if isinstance(m, nn.BatchNorm2d)
                ]
                for norm in batch_norms:
                    norm.running_mean.normal_(0, 0.1)
                    norm.running_var.uniform_(0.5, 2)
            path = folder / f'{len(made)}.pth'
            torch.save(dict(state_dict=network.state_dict()), path)
            made[key] = str(path)
        return made[key]

    return save


@pytest.fixture
def teacher_of(checkpoint: Callable[..., str]) -> Callable[..., Any]:
    """``teacher_of('segmentation')``: the toy network, twice as wide."""

    def teacher(task: str, width: int = 8, seed: int = 1) -> dict[str, Any]:
        model = toy_network(task, width)
        return dict(config=model, checkpoint=checkpoint(model, seed))

    return teacher


@pytest.fixture
def config(teacher_of: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """``config(task, key=value)``: config of a distiller with KD on logits."""

    def make(task: str = 'segmentation', **changes: Any) -> dict[str, Any]:
        loss = 'mmkd.TinyMSELoss'
        if task in ('classification', 'segmentation'):
            loss = 'mmkd.KLDivLoss'
        cfg = dict(
            type='mmkd.OfflineDistiller',
            student=toy_network(task, 4),
            teacher=teacher_of(task),
            taps=dict(feats=FEATS[task], logits=LOGITS[task]),
            losses=dict(kd=dict(type=loss, on='logits')),
        )
        return {**cfg, **changes}

    return make


@pytest.fixture
def build(config: Callable[..., Any]) -> Callable[..., Any]:
    """``build(task, key=value)``: such a distiller, in its scope."""

    def make(task: str = 'segmentation', **changes: Any) -> Any:
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(SCOPES[task]):
            return ROOT_MODELS.build(config(task, **changes))

    return make


@pytest.fixture
def batch() -> Callable[..., dict[str, Any]]:
    """``batch(model, task)``: preprocessed inputs and data samples."""

    def make(model: Any, task: str = 'segmentation', num: int = 2) -> Any:
        with DefaultScope.overwrite_default_scope(SCOPES[task]):
            raw = toy_batch(task, num)
        return model.data_preprocessor(raw, True)

    return make


@pytest.fixture
def logits_paths() -> dict[str, str]:
    return LOGITS


@pytest.fixture
def work_dir(tmp_path: Path) -> str:
    return str(tmp_path / 'work_dir')
