from __future__ import annotations

import pytest
import torch

from mmkd.models.heads import (
    LayerMatchingNetwork,
    LogitAggregator,
    StageClassifiers,
    StageEmbeddings,
)
from mmkd.models.losses import AggregatedLogitKDLoss

TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-5, 2e-4)}


def assert_near(ours, expected, rtol):
    expected = torch.as_tensor(expected).to(ours.dtype)
    atol = rtol * float(expected.abs().max())
    torch.testing.assert_close(ours, expected, rtol=0, atol=atol)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_aggregators_and_logit_terms(golden, dtype):
    case = golden('lmcl', 'aggregator_and_logit_terms')
    rtol, grad_rtol = TOLERANCES[dtype]
    leaves, feats, logits, aggregated = {}, [], [], []
    for i in range(2):
        for name, values in (('feature', feats), ('logits', logits)):
            keys = [f'{name}_{i}_{j}' for j in range(3)]
            found = [
                torch.tensor(case[k], dtype=dtype).requires_grad_()
                for k in keys
            ]
            leaves.update(zip(keys, found, strict=True))
            values.append(found)
        head = LogitAggregator(feats[i][0].shape[1], 3).to(dtype)
        for key, parameter in head.named_parameters():
            name = f'aggregator_{i}_{key.replace(".", "_")}'
            parameter.data.copy_(torch.from_numpy(case[name]))
            leaves[name] = parameter
        aggregated.append(head(feats[i], logits[i]))
        assert_near(aggregated[i], case[f'aggregated_logits_{i}'], rtol)
    labels = torch.from_numpy(case['labels'])
    ce = torch.nn.functional.cross_entropy
    stages = sum(ce(z, labels) for peer in logits for z in peer)
    assert stages.item() == pytest.approx(
        case['loss_cls_stages_only'], rel=rtol
    )
    loss_cls = stages + sum(ce(z, labels) for z in aggregated)
    loss_kd = AggregatedLogitKDLoss(float(case['kd_temperature']))(
        [peer[-1] for peer in logits], aggregated
    )
    assert loss_cls.item() == pytest.approx(case['loss_cls'], rel=rtol)
    assert loss_kd.item() == pytest.approx(case['loss_logit_kd'], rel=rtol)
    grads = torch.autograd.grad(loss_cls + loss_kd, list(leaves.values()))
    for name, grad in zip(leaves, grads, strict=True):
        assert_near(grad, case[f'grad_{name}'], grad_rtol)


def test_aggregated_logits_lie_between_those_of_the_stages():
    head = LogitAggregator([4, 4, 4])
    feats = [torch.randn(5, 4) for _ in range(3)]
    logits = torch.randn(3, 5, 7)
    found = head(feats, list(logits))
    assert (found <= logits.amax(0)).all() and (found >= logits.amin(0)).all()
    torch.nn.init.zeros_(head[2].weight)
    torch.nn.init.zeros_(head[2].bias)
    torch.testing.assert_close(head(feats, logits), logits.mean(0))
    assert sum(p.numel() for p in LogitAggregator(64, 3).parameters()) == 12547


def test_logit_loss_teaches_only_final_logits():
    final = [torch.randn(4, 5, requires_grad=True) for _ in range(2)]
    targets = [torch.randn(4, 5, requires_grad=True) for _ in range(2)]
    loss = AggregatedLogitKDLoss()(final, targets)
    grads = torch.autograd.grad(loss, [*final, *targets], allow_unused=True)
    assert grads[0].abs().sum() > 0 and grads[1].abs().sum() > 0
    assert grads[2] is None and grads[3] is None
    with pytest.raises(ValueError, match='same num_classes'):
        AggregatedLogitKDLoss()(final, targets[:1])


def test_matching_weights():
    network = LayerMatchingNetwork([[6, 6], [8, 8]])
    feats = [[torch.randn(5, d) for _ in range(2)] for d in (6, 8)]
    weights = network(feats)
    assert weights.shape == (2, 2, 2, 2, 5)
    torch.testing.assert_close(weights, weights.permute(2, 3, 0, 1, 4))
    assert (weights[0, :, 0] == 0).all() and (weights[1, :, 1] == 0).all()
    across = weights[0, :, 1]
    low, high = torch.tensor([-1.0, 1.0]).sigmoid()
    assert (across >= low).all() and (across <= high).all()
    p = torch.nn.functional.normalize(network.projections[0][1](feats[0][1]))
    q = torch.nn.functional.normalize(network.projections[1][0](feats[1][0]))
    torch.testing.assert_close(weights[0, 1, 1, 0], (p * q).sum(1).sigmoid())


def test_equal_layers_match_best_and_sizes():
    network = LayerMatchingNetwork(4, num_stages=1, num_peers=2)
    network.projections[1].load_state_dict(network.projections[0].state_dict())
    feats = torch.randn(1, 1, 3, 4).expand(2, 1, 3, 4)
    weights = network(feats)
    torch.testing.assert_close(
        weights[0, 0, 1, 0], torch.full((3,), 0.7310586)
    )
    count = sum(
        p.numel()
        for p in LayerMatchingNetwork([64, 64], num_stages=3).parameters()
    )
    assert count == 49920
    zero = network([[torch.zeros(3, 4)]] * 2)
    assert zero.isfinite().all()


def test_messages():
    with pytest.raises(ValueError, match='set num_stages, too'):
        LogitAggregator(8)
    with pytest.raises(ValueError, match=r'in_channels=\[8, 4\] differ'):
        LogitAggregator([8, 4])
    with pytest.raises(ValueError, match='num_stages=3, but in_channels'):
        LogitAggregator([8, 8], 3)
    with pytest.raises(ValueError, match='must be 2 tensors'):
        LogitAggregator(8, 2)([torch.ones(3, 8)], [torch.ones(3, 5)])
    with pytest.raises(ValueError, match='1 logits of 2 stages'):
        LogitAggregator(8, 2)(torch.ones(2, 3, 8), [torch.ones(3, 5)])
    with pytest.raises(ValueError, match='set num_peers, too'):
        LayerMatchingNetwork(8, 2)
    with pytest.raises(ValueError, match='set num_stages, too'):
        LayerMatchingNetwork([8, 8])
    with pytest.raises(ValueError, match='equally many stages'):
        LayerMatchingNetwork([[8, 8], [8]])
    with pytest.raises(ValueError, match='num_peers=3, but in_channels'):
        LayerMatchingNetwork([[8], [8]], num_peers=3)
    with pytest.raises(ValueError, match='the features are'):
        LayerMatchingNetwork([[8], [8]])(torch.ones(2, 2, 3, 8))
    with pytest.raises(ValueError, match='StageEmbeddings: 1 features'):
        StageEmbeddings([4, 4])([torch.ones(2, 4)])
    with pytest.raises(ValueError, match='StageClassifiers: 3 features'):
        StageClassifiers([4, 4], 3)([torch.ones(2, 4)] * 3, torch.ones(2, 3))
