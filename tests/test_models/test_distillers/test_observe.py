"""Named tensors of all roles without a step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tests.support.toy_cohort import batch_for, build_cohort


def test_student_and_teacher(build: Any, batch: Any) -> None:
    model = build().eval()
    data = batch(model)
    seen = model.observe(data['inputs'])
    assert set(seen.tensors) == {'student', 'teacher'}
    expected = model.student(data['inputs'], mode='tensor')
    assert torch.equal(seen.outputs['student'], expected)
    assert torch.equal(seen.tensors['student']['logits'], expected)
    assert seen.tensors['student']['logits'].requires_grad
    assert not seen.tensors['teacher']['logits'].requires_grad
    assert seen.view_labels is None


def test_it_is_no_step(build: Any, batch: Any) -> None:
    model = build().eval()
    before = copy.deepcopy(model.state_dict())
    model.observe(batch(model)['inputs'])
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(m._forward_hooks for m in model.modules())


def test_shared_trunks_run_once() -> None:
    model = build_cohort(peers=3, cohort=dict(shared=['stem'])).eval()
    inner = model.cohort[0].backbone.conv1
    compute, calls = inner._conv_forward, []

    def count(*args: Any) -> torch.Tensor:
        calls.append(args)
        return compute(*args)

    inner._conv_forward = count
    seen = model.observe(batch_for(model)['inputs'])
    assert set(seen.tensors) == {'peer0', 'peer1', 'peer2'}
    assert len(calls) == 1
    assert 'forward' not in vars(inner)  # nothing stays patched


def test_views_are_shown(build: Any, batch: Any) -> None:
    model = build(
        'classification', views=dict(type='mmkd.RotationViews')
    ).eval()
    data = batch(model, 'classification', 2)
    seen = model.observe(data['inputs'], data['data_samples'])
    assert seen.tensors['student']['logits'].shape == (8, 7)
    labels = torch.cat([s.gt_label for s in data['data_samples']])
    assert torch.equal(seen.view_labels // 4, labels.repeat_interleave(4))


def test_an_unknown_role_is_named(build: Any) -> None:
    with pytest.raises(KeyError, match='no role "peer0"; known: student'):
        build().role('peer0')
