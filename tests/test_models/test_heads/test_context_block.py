"""The context block equals the authors' and a loop over positions."""

from __future__ import annotations

import math

import pytest
import torch

from mmkd.models.heads import ContextBlock

KEYS = {
    'node_q': 'query',
    'node_k': 'key',
    'node_v': 'value',
    'conv1_0': 'context.0',
    'conv1_1': 'context.1',
    'out_conv_0': 'merge.0',
    'out_conv_1': 'merge.1',
}


def load(case: dict, prefix: str) -> dict[str, torch.Tensor]:
    """Return the golden parameters under our names."""
    state = {}
    for theirs, ours in KEYS.items():
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            name = f'{prefix}_{theirs}_{part}'
            if name in case:
                state[f'{ours}.{part}'] = torch.from_numpy(case[name])
    return state


def test_golden_training_step(golden) -> None:
    case = golden('cirkd', '14_cirkdv2_gcn_train')
    block = ContextBlock(6).train()
    missing, unexpected = block.load_state_dict(
        load(case, 'state'), strict=False
    )
    assert not unexpected
    assert all(key.endswith('num_batches_tracked') for key in missing)
    x = torch.from_numpy(case['x']).requires_grad_()
    y = block(x)
    torch.testing.assert_close(
        y, torch.from_numpy(case['y']), rtol=1e-5, atol=2e-6
    )
    y.backward(torch.from_numpy(case['upstream']))
    expected = torch.from_numpy(case['grad_x'])
    assert (x.grad - expected).abs().max() <= 3e-5 * expected.abs().max()
    state = block.state_dict()
    after = load(case, 'after')
    assert len(after) == 4
    for name, value in after.items():
        torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-6)


def test_equals_a_loop_over_positions() -> None:
    block = ContextBlock(4).double().eval()
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    q, k, v = (m(x).flatten(2) for m in (block.query, block.key, block.value))
    mixed = torch.zeros_like(v)
    for n in range(2):
        for a in range(6):
            scores = [
                float(q[n, :, a] @ k[n, :, b]) / math.sqrt(2) for b in range(6)
            ]
            weights = [math.exp(score) for score in scores]
            for b in range(6):
                mixed[n, :, a] += weights[b] / sum(weights) * v[n, :, b]
    context = block.context(mixed.view(2, 2, 3, 2))
    expected = block.merge(torch.cat([x, context], 1))
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)


def test_odd_channels_are_refused() -> None:
    with pytest.raises(ValueError, match='in_channels=5 must be even'):
        ContextBlock(5)
