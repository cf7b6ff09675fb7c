from __future__ import annotations

import torch
from torch import nn

from mmkd.models.exchanges import CollaborativeExchange, MutualExchange
from tests.references import okd_baselines as reference


def test_golden(golden, assert_close, cohort_of, make_batch):
    case = golden('okd_baselines', 'cl_ilr')
    trunk = torch.from_numpy(case['shared_feature']).requires_grad_()
    convs, linears = [], []
    for k in range(3):
        convs.append(nn.Conv2d(8, 16, 1, stride=2, bias=False))
        linears.append(nn.Linear(16, 7))
        state = dict(
            weight=case[f'param_classifier3_{k}_weight'],
            bias=case[f'param_classifier3_{k}_bias'],
        )
        convs[k].weight.data = torch.from_numpy(
            case[f'param_layer3_{k}_weight']
        )
        linears[k].load_state_dict(
            {name: torch.from_numpy(value) for name, value in state.items()}
        )
    shared = trunk / 3 + trunk.detach() * (2 / 3)  # what the cohort scales
    logits = [
        linear(conv(shared).mean((2, 3)))
        for conv, linear in zip(convs, linears, strict=True)
    ]
    batch = make_batch(torch.from_numpy(case['target']))
    exchange = CollaborativeExchange(
        temperature=float(case['temperature']), detach_target=False
    )
    peers = cohort_of(logits=logits)
    kl = sum(exchange(peers, batch).values())
    total = kl + sum(batch.hard_loss(z) for z in logits)
    total.backward()
    assert_close(torch.stack(logits, 2), case['peer_logit'])
    targets = [t.target for t in exchange.transfers(peers, {}, batch)]
    assert_close(torch.stack(targets, 2), case['peer_target_logit'])
    assert_close(kl, case['loss_kl'])
    assert_close(total, case['loss_total'])
    assert_close(trunk.grad, case['grad_shared_feature'], 1e-4, 1e-6)
    for k in range(3):
        conv, linear = convs[k].weight.grad, linears[k].weight.grad
        assert_close(conv, case[f'grad_branch{k}_conv'], 1e-4, 1e-6)
        assert_close(linear, case[f'grad_branch{k}_fc'], 1e-4, 1e-6)


def test_equals_the_loop_and_the_ramp(cohort_of, make_batch):
    logits = [torch.randn(4, 6, dtype=torch.float64) for _ in range(4)]
    peers = cohort_of(logits=logits)
    exchange = CollaborativeExchange(ramp_epochs=80, loss_weight=0.5)
    for epoch in (0, 40, 200):
        losses = exchange(peers, make_batch(epoch=epoch))
        expected = [
            0.5
            * reference.ramp(epoch, 80)
            * reference.kd(z, reference.mean_of_others(logits, i), 2.0)
            for i, z in enumerate(logits)
        ]
        torch.testing.assert_close(list(losses.values()), expected)


def test_is_the_mean_form_of_mutual_learning(cohort_of, make_batch, set_up):
    logits = [torch.randn(2, 5, 3, 3) for _ in range(3)]
    peers = cohort_of(logits=logits)
    other = MutualExchange(target='leave_one_out_mean', temperature=2.0)
    exchange = set_up(CollaborativeExchange(), peers)
    ours = exchange(peers, make_batch())
    torch.testing.assert_close(ours, other(peers, make_batch()))
    assert exchange.transfer_loss.detach_target
