from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import MoCoMutualContrastiveLoss
from mmkd.registry import MODELS
from tests.references import mcl

TERMS = ('vcl', 'soft_vcl', 'icl', 'soft_icl')
TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-5, 2e-4)}


def unit(*shape):
    values = torch.randn(*shape, dtype=torch.float64)
    return functional.normalize(values, dim=-1)


def build(num_peers=2, **settings):
    settings = dict(feat_dim=6, queue_size=12) | settings
    return MoCoMutualContrastiveLoss(num_peers, **settings).double()


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_three_steps(golden, dtype):
    case = golden('mcl', 'moco_m2_three_steps')
    rtol, grad_rtol = TOLERANCES[dtype]
    peers = range(2)

    def read(name):
        return torch.tensor(case[name], dtype=dtype)

    weights = [read(f'init_weight_{i}').requires_grad_() for i in peers]
    biases = [read(f'init_bias_{i}').requires_grad_() for i in peers]
    keys_of = [
        [w.detach().clone() for w in part] for part in (weights, biases)
    ]
    momentum, rate = float(case['key_momentum']), float(case['sgd_lr'])
    loss = MoCoMutualContrastiveLoss(
        num_peers=2,
        feat_dim=10,
        queue_size=int(case['queue_len']),
        temperature=float(case['temperature']),
        kd_temperature=float(case['kd_temperature']),
    ).to(dtype)
    loss.queue.copy_(read('queue_before'))

    def encode(view, weight, bias):
        return functional.normalize(view @ weight.T + bias, dim=1)

    for step in ('step0', 'step1', 'step2'):
        for part, source in zip(keys_of, (weights, biases), strict=True):
            for key, query in zip(part, source, strict=True):
                key.mul_(momentum).add_((1 - momentum) * query.detach())
        for i in peers:
            torch.testing.assert_close(
                keys_of[0][i], read(f'{step}_key_weight_after_{i}')
            )
        query, key = read(f'{step}_view_query'), read(f'{step}_view_key')
        terms = loss(
            [encode(query, weights[i], biases[i]) for i in peers],
            [encode(key, keys_of[0][i], keys_of[1][i]) for i in peers],
        )
        for term in TERMS:
            # the first losses are small differences of large logits
            assert terms[f'loss_{term}'].item() == pytest.approx(
                float(case[f'{step}_loss_{term}']), rel=rtol, abs=rtol
            )
        total = sum(terms.values())
        assert total.item() == pytest.approx(
            float(case[f'{step}_loss_total']), rel=rtol
        )
        grads = torch.autograd.grad(total, [*weights, *biases])
        for i in peers:
            expected = case[f'{step}_grad_weight_{i}']
            error = abs(grads[i].double().numpy() - expected).max()
            assert error <= grad_rtol * abs(expected).max()
        with torch.no_grad():
            for parameter, grad in zip(weights + biases, grads, strict=True):
                parameter -= rate * grad
        for i in peers:
            torch.testing.assert_close(
                weights[i].detach(),
                read(f'{step}_query_weight_after_{i}'),
                rtol=10 * grad_rtol,
                atol=grad_rtol,
            )
        torch.testing.assert_close(
            loss.queue, read(f'{step}_queue_after'), rtol=rtol, atol=rtol
        )
        pointer = torch.from_numpy(case[f'{step}_queue_ptr_after'])
        assert torch.equal(loss.queue_ptr, pointer)


@pytest.mark.parametrize('num_peers', [1, 2, 3])
@pytest.mark.parametrize('temperatures', [(0.07, 3.0), (0.5, 1.0)])
def test_equals_loops(num_peers, temperatures):
    loss = build(
        num_peers,
        temperature=temperatures[0],
        kd_temperature=temperatures[1],
    )
    queries = unit(num_peers, 4, 6).requires_grad_()
    keys = unit(num_peers, 4, 6)
    queues = list(loss.queue.clone())
    ours = loss(list(queries), list(keys))
    loops = mcl.moco_terms(list(queries), keys, queues, *temperatures)
    assert list(ours) == list(loops)
    for name, value in ours.items():
        torch.testing.assert_close(value, loops[name], rtol=1e-9, atol=1e-9)
    for name in loops if num_peers > 1 else ('loss_vcl',):
        grads = [
            torch.autograd.grad(terms[name], queries, retain_graph=True)[0]
            for terms in (ours, loops)
        ]
        torch.testing.assert_close(*grads, rtol=1e-8, atol=1e-9)


def test_one_network_is_plain_moco():
    loss = build(1)
    queries, keys = unit(1, 4, 6), unit(1, 4, 6)
    logits = torch.cat(
        [
            (queries[0] * keys[0]).sum(1, keepdim=True),
            queries[0] @ loss.queue[0],
        ],
        1,
    )
    target = torch.zeros(4, dtype=torch.long)
    expected = functional.cross_entropy(logits / 0.07, target)
    terms = loss(queries, keys)
    torch.testing.assert_close(terms['loss_vcl'], expected)
    for name in ('loss_soft_vcl', 'loss_icl', 'loss_soft_icl'):
        assert isinstance(terms[name], torch.Tensor) and terms[name] == 0


def test_queue_advances_and_wraps():
    loss = build()
    before = loss.queue.clone()
    batches = [unit(2, 4, 6) for _ in range(4)]
    for step, keys in enumerate(batches):
        start = 4 * step % 12
        loss(unit(2, 4, 6), keys)
        torch.testing.assert_close(
            loss.queue[:, :, start : start + 4], keys.mT
        )
        assert loss.queue_ptr.tolist() == 2 * [(start + 4) % 12]
        if step == 0:
            assert torch.equal(loss.queue[:, :, 4:], before[:, :, 4:])
    torch.testing.assert_close(
        loss.queue, torch.cat([batches[3], *batches[1:3]], 1).mT
    )


def test_no_gradient_to_keys_and_evaluation_writes_nothing():
    loss = build().eval()
    before = loss.queue.clone()
    queries, keys = unit(2, 4, 6).requires_grad_(), unit(2, 4, 6)
    keys.requires_grad_()
    first = loss(queries, keys)
    assert torch.equal(loss.queue, before) and loss.queue_ptr.sum() == 0
    again = loss.train()(queries, keys)
    assert first == again  # scored before written
    sum(again.values()).backward()
    assert keys.grad is None and queries.grad.abs().max() > 0
    assert not loss.queue.requires_grad


def test_initial_queue_and_state():
    loss = MODELS.build(
        dict(type='mmkd.MoCoMutualContrastiveLoss', num_peers=3, queue_size=40)
    )
    assert loss.queue.shape == (3, 128, 40)
    torch.testing.assert_close(loss.queue.norm(dim=1), torch.ones(3, 40))
    assert set(loss.state_dict()) == {'queue', 'queue_ptr'}
    copy = MoCoMutualContrastiveLoss(3, 128, 40)
    queries, keys = unit(2, 3, 8, 128).float()
    loss(queries, keys)
    copy.load_state_dict(loss.state_dict())
    assert loss(queries, keys) == copy(queries, keys)
    assert torch.equal(loss.queue, copy.queue)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    loss = build().float().eval()
    queries = unit(2, 4, 6).to(dtype).requires_grad_()
    keys = unit(2, 4, 6).to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        terms = loss(list(queries), list(keys))
    sum(terms.values()).backward()
    assert queries.grad.isfinite().all()
    expected = loss(queries.detach().float(), keys.float())
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.detach(), expected[name])


def test_batch_that_does_not_divide_the_queue_goes_on_at_its_start():
    loss = build()
    written = []
    for _ in range(5):
        keys = unit(2, 5, 6)
        written.append(keys)
        loss(unit(2, 5, 6), keys)
    assert loss.queue_ptr.tolist() == [25 % 12] * 2
    last = torch.cat(written, 1)[:, 13:]  # the newest 12, from column 1 on
    expected = last.roll(1, 1).mT
    assert torch.equal(loss.queue, expected)


def test_batch_that_is_larger_than_the_queue():
    loss = build()
    before = loss.queue.clone()
    with pytest.raises(ValueError, match='queue_size=12.*processes, 13'):
        loss(unit(2, 13, 6), unit(2, 13, 6))
    assert torch.equal(loss.queue, before)
    terms = loss.eval()(unit(2, 13, 6), unit(2, 13, 6))
    assert sum(terms.values()).isfinite()


def test_queue_is_written_in_place():
    loss = build()
    address = loss.queue.data_ptr()
    loss(unit(2, 4, 6), unit(2, 4, 6))
    assert loss.queue.data_ptr() == address


def test_one_peer_may_come_without_a_list():
    loss = build(1).eval()
    queries, keys = unit(4, 6), unit(4, 6)
    assert loss(queries, keys) == loss([queries], [keys])


@pytest.mark.parametrize(
    ('queries', 'keys', 'message'),
    [
        ((3, 4, 6), (3, 4, 6), 'num_peers=2.*set num_peers=3'),
        ((2, 4, 5), (2, 4, 5), 'feat_dim=6'),
        ((2, 4, 6), (2, 3, 6), 'two views of the same images'),
    ],
)
def test_wrong_shapes(queries, keys, message):
    with pytest.raises(ValueError, match=message):
        build()(unit(*queries), unit(*keys))
