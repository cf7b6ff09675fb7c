"""Modules of the student that neither learn nor update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn


def changed_keys(distiller: Any, data: dict[str, Any]) -> set[str]:
    """One step with weight decay; keys of the student that it changed."""
    distiller.train()
    before = {k: v.clone() for k, v in distiller.student.state_dict().items()}
    optimizer = torch.optim.SGD(
        distiller.parameters(), 0.1, weight_decay=0.1, momentum=0.9
    )
    losses = distiller(**data, mode='loss')
    distiller.parse_losses(losses)[0].backward()
    optimizer.step()
    after = distiller.student.state_dict()
    return {k for k, v in before.items() if not torch.equal(v, after[k])}


def test_frozen_modules_keep_weights_and_averages(
    build: Any, batch: Any
) -> None:
    distiller = build(
        'classification', frozen_modules=['backbone.layer{3,4}', 'head']
    )
    frozen = ('backbone.layer3.', 'backbone.layer4.', 'head.')
    changed = changed_keys(distiller, batch(distiller, 'classification', 4))
    others = {
        k for k in distiller.student.state_dict() if not k.startswith(frozen)
    }
    assert changed == others


def test_frozen_modules_stay_in_eval_mode_after_a_conversion(
    build: Any,
) -> None:
    distiller = build('classification', frozen_modules=['backbone.layer4'])
    nn.SyncBatchNorm.convert_sync_batchnorm(distiller)
    distiller.train()
    layer = distiller.student.backbone.layer4
    assert any(isinstance(m, nn.SyncBatchNorm) for m in layer.modules())
    assert not any(module.training for module in layer.modules())
    assert distiller.student.backbone.layer3.training
    assert not any(p.requires_grad for p in layer.parameters())


def test_unknown_frozen_module(build: Any) -> None:
    message = 'frozen_modules="backbone.layer9".*nearest: backbone.layer'
    with pytest.raises(KeyError, match=message):
        build('classification', frozen_modules=['backbone.layer9'])
