from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import MemoryMutualContrastiveLoss
from mmkd.registry import MODELS
from tests.references import mcl

TERMS = ('vcl', 'soft_vcl', 'icl', 'soft_icl')
WEIGHTS = (0.1, 1.0, 0.1, 1.0)
UNIT = dict(
    vcl_weight=1.0, soft_vcl_weight=1.0, icl_weight=1.0, soft_icl_weight=1.0
)
TOLERANCES = {torch.float64: (1e-9, 1e-9), torch.float32: (2e-5, 2e-4)}


def unit(*shape):
    values = torch.randn(*shape, dtype=torch.float64)
    return functional.normalize(values, dim=-1)


def build(num_peers=2, **settings):
    settings = dict(num_samples=30, feat_dim=6) | settings
    return MemoryMutualContrastiveLoss(num_peers, **settings).double()


def indices(batch=4, num_positives=2, num_negatives=5, num_samples=30):
    pos_idx = torch.stack(
        [
            torch.randperm(num_samples)[: 1 + num_positives]
            for _ in range(batch)
        ]
    )
    pos_idx[:, 0] = torch.randperm(num_samples)[:batch]
    return pos_idx, torch.randint(num_samples, (batch, num_negatives))


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_golden_two_steps(golden, dtype):
    case = golden('mcl', 'memory_loss_m2')
    rtol, grad_rtol = TOLERANCES[dtype]
    loss = MemoryMutualContrastiveLoss(
        num_peers=2,
        num_samples=96,
        feat_dim=16,
        temperature=float(case['temperature']),
        kd_temperature=float(case['kd_temperature']),
        momentum=float(case['memory_momentum']),
    ).to(dtype)
    before = [torch.from_numpy(case[f'memory_before_{i}']) for i in range(2)]
    loss.banks.copy_(torch.stack(before))
    for step in ('step0', 'step1'):
        raw = [
            torch.tensor(case[f'{step}_raw_embedding_{i}'], dtype=dtype)
            for i in range(2)
        ]
        terms = loss(
            [functional.normalize(v.requires_grad_(), dim=1) for v in raw],
            torch.from_numpy(case[f'{step}_pos_idx']),
            torch.from_numpy(case[f'{step}_neg_idx']),
        )
        for term, weight in zip(TERMS, WEIGHTS, strict=True):
            expected = weight * float(case[f'{step}_loss_{term}'])
            assert terms[f'loss_{term}'].item() == pytest.approx(
                expected, rel=rtol
            )
        total = sum(terms.values())
        assert total.dtype == dtype
        assert total.item() == pytest.approx(
            float(case[f'{step}_loss_total']), rel=rtol
        )
        total.backward()  # after the banks were written
        for i in range(2):
            expected = case[f'{step}_grad_total_wrt_raw_{i}']
            error = abs(raw[i].grad.double().numpy() - expected).max()
            assert error <= grad_rtol * abs(expected).max()
            torch.testing.assert_close(
                loss.banks[i],
                torch.tensor(case[f'{step}_memory_after_{i}'], dtype=dtype),
                rtol=rtol,
                atol=rtol,
            )


@pytest.mark.parametrize('num_peers', [1, 2, 3])
@pytest.mark.parametrize('num_positives', [1, 3])
@pytest.mark.parametrize('temperatures', [(0.07, 3.0), (0.5, 1.0)])
def test_equals_loops(num_peers, num_positives, temperatures):
    tau, kd_tau = temperatures
    loss = build(num_peers, temperature=tau, kd_temperature=kd_tau, **UNIT)
    embeds = unit(num_peers, 4, 6).requires_grad_()
    index = indices(num_positives=num_positives)
    banks = list(loss.banks.clone())
    ours = loss(list(embeds), *index)
    loops = mcl.memory_terms(list(embeds), banks, *index, *temperatures)
    assert list(ours) == list(loops)
    for name, value in ours.items():
        torch.testing.assert_close(value, loops[name], rtol=1e-9, atol=1e-9)
    for name in loops if num_peers > 1 else ('loss_vcl',):
        grads = [
            torch.autograd.grad(terms[name], embeds, retain_graph=True)[0]
            for terms in (ours, loops)
        ]
        torch.testing.assert_close(*grads, rtol=1e-8, atol=1e-9)
    mcl.update_banks(banks, index[0][:, 0].tolist(), embeds.detach())
    torch.testing.assert_close(loss.banks, torch.stack(banks))


def test_only_rows_of_the_batch_change():
    loss = build()
    before = loss.banks.clone()
    pos_idx, neg_idx = indices()
    loss(unit(2, 4, 6), pos_idx, neg_idx)
    mine = torch.zeros(30, dtype=torch.bool)
    mine[pos_idx[:, 0]] = True
    assert torch.equal(loss.banks[:, ~mine], before[:, ~mine])
    torch.testing.assert_close(
        loss.banks[:, mine].norm(dim=2), torch.ones(2, 4).double()
    )
    assert (loss.banks[:, mine] != before[:, mine]).any()


def test_limits_of_momentum():
    embeds = unit(2, 4, 6)
    pos_idx, neg_idx = indices()
    rows = pos_idx[:, 0]
    forgetful, stubborn = build(momentum=0.0), build(momentum=1.0)
    before = stubborn.banks[:, rows].clone()
    forgetful(embeds, pos_idx, neg_idx)
    stubborn(embeds, pos_idx, neg_idx)
    torch.testing.assert_close(forgetful.banks[:, rows], embeds)
    torch.testing.assert_close(
        stubborn.banks[:, rows], functional.normalize(before, dim=2)
    )


def test_the_last_of_equal_samples_is_remembered():
    loss = build(momentum=0.25)
    expected = list(loss.banks.clone())
    pos_idx, neg_idx = indices()
    pos_idx[:, 0] = torch.tensor([7, 9, 7, 7])
    embeds = unit(2, 4, 6)
    loss(embeds, pos_idx, neg_idx)
    mcl.update_banks(expected, [9, 7], embeds[:, [1, 3]], 0.25)
    torch.testing.assert_close(loss.banks, torch.stack(expected))


def test_evaluation_writes_nothing():
    loss = build().eval()
    before = loss.banks.clone()
    embeds, index = unit(2, 4, 6), indices()
    first = loss(embeds, *index)
    assert torch.equal(loss.banks, before)
    assert loss.train()(embeds, *index) == first  # scored before written
    assert not torch.equal(loss.banks, before)


def test_known_value_of_icl():
    tau, num_negatives = 0.5, 5
    loss = build(temperature=tau, **UNIT).eval()
    index = torch.tensor([[0, 1]]), torch.arange(2, 2 + num_negatives)[None]
    embeds = torch.zeros(2, 1, 6).double()
    embeds[:, 0, 0] = 1
    loss.banks.zero_()
    loss.banks[:, :2, 0] = 1
    loss.banks[:, 2:, 1] = 1  # orthogonal
    icl = loss(embeds, *index)['loss_icl'].item()
    row = math.log(2 * math.exp(1 / tau) + num_negatives) - 1 / tau
    assert icl == pytest.approx(2 * row)


def test_one_network_leaves_vcl_alone():
    loss = build(1)
    embeds = unit(1, 4, 6).requires_grad_()
    terms = loss(embeds, *indices())
    for name in ('loss_soft_vcl', 'loss_icl', 'loss_soft_icl'):
        assert terms[name].item() == 0
        grad = torch.autograd.grad(terms[name], embeds, retain_graph=True)[0]
        assert grad.abs().max() == 0
    assert terms['loss_vcl'] > 0


def test_each_bank_is_gathered_once(monkeypatch):
    reads = []

    class Counted(torch.Tensor):
        def __getitem__(self, index):
            reads.append(tuple(index.shape))
            return super().__getitem__(index).as_subclass(torch.Tensor)

    loss = build(3).eval()
    banks = loss.banks.as_subclass(Counted)
    monkeypatch.setitem(loss._buffers, 'banks', banks)
    terms = loss(unit(3, 4, 6), *indices())
    assert reads == [(4, 8)] * 3
    assert sum(terms.values()).isfinite()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    loss = build().float().eval()
    embeds = unit(2, 4, 6).to(dtype).requires_grad_()
    index = indices()
    with torch.autocast('cpu', torch.bfloat16):
        terms = loss(list(embeds), *index)
    sum(terms.values()).backward()
    assert embeds.grad.isfinite().all()
    expected = loss(embeds.detach().float(), *index)
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.detach(), expected[name])


def test_initial_banks():
    banks = MemoryMutualContrastiveLoss(2, 500, 12).banks
    bound = 1 / math.sqrt(12 / 3)
    assert banks.shape == (2, 500, 12) and banks.dtype == torch.float32
    assert 0.99 * bound < banks.abs().max() <= bound
    assert banks.norm(dim=2).mean() == pytest.approx(1, abs=0.02)
    assert not torch.equal(banks[0], banks[1])


def test_state_dict_round_trip_continues_exactly():
    first = build()
    batches = [(unit(2, 4, 6), *indices()) for _ in range(2)]
    first(*batches[0])
    state = {key: value.clone() for key, value in first.state_dict().items()}
    assert list(state) == ['banks']
    second = build()
    second.load_state_dict(state)
    assert first(*batches[1]) == second(*batches[1])
    assert torch.equal(first.banks, second.banks)
    assert not build(save_banks=False).state_dict()


def with_value(tensor, value):
    tensor = tensor.clone()
    tensor[0, 0] = value
    return tensor


@pytest.mark.parametrize('value', [30, -1])
@pytest.mark.parametrize('name', ['pos_idx', 'neg_idx'])
def test_index_outside_the_data_set(name, value):
    index = dict(zip(('pos_idx', 'neg_idx'), indices(), strict=True))
    index[name] = with_value(index[name], value)
    with pytest.raises(ValueError, match=f'{name} reaches.*num_samples=30'):
        build()(unit(2, 4, 6), **index)


@pytest.mark.parametrize(
    ('pos_idx', 'neg_idx', 'message'),
    [
        (torch.zeros(4, 1).long(), torch.zeros(4, 2).long(), 'at least 2'),
        (torch.zeros(3, 2).long(), torch.zeros(4, 2).long(), r'\(3, 2\)'),
        (torch.zeros(4, 2), torch.zeros(4, 2).long(), 'torch.float32'),
        (torch.zeros(4, 2).long(), torch.zeros(4, 0).long(), 'neg_idx'),
        (torch.zeros(4).long(), torch.zeros(4, 2).long(), 'pos_idx must be'),
    ],
)
def test_wrong_indices(pos_idx, neg_idx, message):
    with pytest.raises(ValueError, match=message):
        build()(unit(2, 4, 6), pos_idx, neg_idx)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [((3, 4, 6), 'num_peers=2'), ((2, 4, 5), 'feat_dim=6.*set feat_dim=5')],
)
def test_embeddings_against_settings(shape, message):
    with pytest.raises(ValueError, match=message):
        build()(unit(*shape), *indices())


def test_wrong_settings():
    with pytest.raises(ValueError, match='momentum=1.5'):
        build(momentum=1.5)
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        build(temperature=0)


def test_registered():
    loss = MODELS.build(
        dict(
            type='mmkd.MemoryMutualContrastiveLoss',
            num_peers=2,
            num_samples=5,
        )
    )
    assert loss.banks.shape == (2, 5, 128)
    assert (loss.temperature, loss.momentum) == (0.07, 0.5)
