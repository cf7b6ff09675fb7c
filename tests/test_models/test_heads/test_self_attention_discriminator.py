"""The discriminator equals the published one, call by call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.heads import SelfAttentionDiscriminator
from mmkd.models.heads.spectral_conv import SpectralConv2d

ORDER = (
    Path(__file__).parents[2]
    / 'golden/seg_baselines/DISCRIMINATOR_STATE_ORDER.txt'
)
#: theirs -> ours
NAMES = {
    r'^l(\d)\.0\.module\.weight_bar': r'conv\1.weight',
    r'^l(\d)\.0\.module\.weight_': r'conv\1.',
    r'^l(\d)\.0\.module\.': r'conv\1.',
    r'^last\.0': 'last',
    r'^attn(\d)\.(\w+)_conv': r'attention\1.\2',
    r'^attn': 'attention',
    r'^preprocess_additional': 'norm',
}


def formula(numel: int, index: int) -> torch.Tensor:
    k = torch.arange(numel, dtype=torch.float64)
    q = torch.sin(12.9898 * k + 78.233 * index) * 43758.5453
    return 2 * (q - q.floor()) - 1


def fill(judge: nn.Module) -> None:
    """Set the state of the golden case."""
    state = judge.state_dict()
    lines = ORDER.read_text().splitlines()
    for line in lines:
        number, name = line.split()[:2]
        for pattern, ours in NAMES.items():
            name = re.sub(pattern, ours, name)
        value = state.pop(name)
        assert str(tuple(value.shape)) == line.split(' ', 2)[2]
        r = formula(value.numel(), int(number)).view(value.shape)
        if name.endswith('gamma'):
            r = torch.full_like(r, 0.5)
        elif value.ndim >= 2:
            r = 2 / value[0].numel() ** 0.5 * r
        elif name.endswith('running_var'):
            r = 1 + 0.5 * r**2
        elif name == 'norm.weight':
            r = 1 + 0.2 * r
        else:
            r = 0.1 * r
        value.copy_(r)
    assert list(state) == ['norm.num_batches_tracked']


def test_golden(golden: Any) -> None:
    case = golden('seg_baselines', '04_discriminator')
    judge = SelfAttentionDiscriminator(5).double().eval()
    fill(judge)
    shape = tuple(case['input_shape'].tolist())
    numel = torch.Size(shape).numel()
    x = (2 * formula(numel, 999)).view(shape).requires_grad_()

    def close(found: torch.Tensor, name: str) -> None:
        wanted = torch.from_numpy(case[name])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-9)

    out = judge(x)
    close(out, 'out_eval_call1')
    close(judge.conv1.u, 'l1_u_after_call1')
    (grad,) = torch.autograd.grad(out.sum(), x)
    close(grad.sum((0, 2, 3)), 'grad_input_call1_sum')
    close(grad[0, :, ::8, ::8], 'grad_input_call1_slice')
    close(judge(x), 'out_eval_call2')
    close(judge(x), 'out_eval_call3')
    close(judge.train()(x), 'out_train_call4')
    close(judge.norm.running_mean, 'bn_running_mean_after_call4')
    close(judge.norm.running_var, 'bn_running_var_after_call4')


@pytest.mark.parametrize(('classes', 'millions'), [(19, 3.19), (11, 3.18)])
def test_parameters(classes: int, millions: float) -> None:
    judge = SelfAttentionDiscriminator(classes)
    count = sum(p.numel() for p in judge.parameters())
    assert round(count / 1e6, 2) == millions


def test_spectral_norm_tends_to_one() -> None:
    conv = SpectralConv2d(3, 5, 4, stride=2, padding=1, bias=False).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    for _ in range(200):
        out = conv(x)
    sigma = torch.linalg.matrix_norm(conv.weight.flatten(1), ord=2)
    wanted = nn.functional.conv2d(x, conv.weight / sigma, None, 2, 1)
    torch.testing.assert_close(out, wanted, rtol=1e-6, atol=1e-9)


def test_small_logits_are_enlarged_or_refused() -> None:
    x = torch.randn(1, 2, 45, 60)
    judge = SelfAttentionDiscriminator(2, upsample_to=64).eval()
    assert judge(x).shape == (1, 1, 1, 2)
    assert judge(torch.randn(1, 2, 64, 128)).shape == (1, 1, 1, 5)
    words = (
        'discriminator needs logits of at least 64x64, got 45x60; set '
        'upsample_to=64 or adversarial=None'
    )
    with pytest.raises(ValueError, match=words):
        SelfAttentionDiscriminator(2)(x)
    with pytest.raises(ValueError, match='upsample_to=32 is too small'):
        SelfAttentionDiscriminator(2, upsample_to=32)


def test_another_class_number_is_refused() -> None:
    words = 'discriminator.in_channels=3.* are of 2 classes; set in_channels=2'
    with pytest.raises(ValueError, match=words):
        SelfAttentionDiscriminator(3)(torch.randn(1, 2, 64, 64))
