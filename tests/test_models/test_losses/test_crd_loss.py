from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from mmkd.models.losses import CRDLoss
from mmkd.models.losses.bank_nce import bank_nce
from mmkd.registry import MODELS
from tests.references import cls_baselines_b

CPU = torch.device('cpu')


def build(num_samples=40, num_negatives=12, **settings):
    loss = CRDLoss(
        10, 14, num_samples, 8, num_negatives=num_negatives, **settings
    )
    return loss.double()


def batch(count=5, num_samples=40, columns=13):
    feats = [torch.randn(count, c, dtype=torch.float64) for c in (10, 14)]
    index = torch.randperm(num_samples)[:count]
    contrast = torch.randint(num_samples, (count, columns))
    contrast[:, 0] = index
    return *feats, index, contrast


@pytest.mark.parametrize(
    ('dtype', 'rtol'), [(torch.float64, 1e-5), (torch.float32, 1e-5)]
)
def test_golden_two_calls(golden, dtype, rtol):
    case = golden('cls_baselines', 'crd')
    values = {
        key: torch.tensor(v).to(dtype if v.dtype.kind == 'f' else torch.int64)
        for key, v in case.items()
    }
    loss = build(
        temperature=float(case['temperature']),
        momentum=float(case['momentum']),
    ).to(dtype)
    sides = dict(student='s', teacher='t')
    with torch.no_grad():
        for side, letter in sides.items():
            linear = getattr(loss, f'embed_{letter}')
            linear.weight.copy_(values[f'embed_{letter}_weight'])
            linear.bias.copy_(values[f'embed_{letter}_bias'])
            getattr(loss, f'memory_{side}').copy_(values[f'memory_{side}_0'])
    for call in range(2):
        loss.zero_grad()
        student = values[f'it{call}_student'].requires_grad_()
        value = loss(
            student,
            values[f'it{call}_teacher'],
            values[f'it{call}_index'],
            values[f'it{call}_contrast_index'],
        )
        value.backward()
        expected = float(case[f'it{call}_loss'])
        assert value.item() == pytest.approx(expected, rel=rtol)
        for ours, name in (
            (student.grad, 'grad_student'),
            (loss.embed_s.weight.grad, 'grad_embed_s_weight'),
            (loss.embed_t.weight.grad, 'grad_embed_t_weight'),
        ):
            torch.testing.assert_close(
                ours, values[f'it{call}_{name}'], rtol=1e-4, atol=1e-6
            )
        for side in sides:
            torch.testing.assert_close(
                getattr(loss, f'z_{side}'),
                values[f'it{call}_Z_{side}'],
                rtol=rtol,
                atol=0,
            )
            torch.testing.assert_close(
                getattr(loss, f'memory_{side}'),
                values[f'memory_{side}_{call + 1}'],
                rtol=rtol,
                atol=1e-6,
            )


@pytest.mark.parametrize('columns', [13, 2])
@pytest.mark.parametrize('z', [None, 30.0])
def test_both_ways_equal_the_gathered_form(columns, z):
    """With 2 columns of 40 rows, single rows are read."""
    embed = functional.normalize(torch.randn(5, 8).double(), dim=1)
    embed.requires_grad_()
    bank = torch.randn(40, 8).double()
    index = torch.randint(40, (5, columns))
    plain, _ = cls_baselines_b.nce(embed, bank, index, 0.3, z)
    ours = bank_nce(
        embed, bank, index, 0.3, lambda mean: 40 * mean if z is None else z
    )
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(
        *(torch.autograd.grad(2 * v, embed)[0] for v in (ours, plain))
    )


def test_equals_loops_over_steps():
    loss = build()
    banks = [loss.memory_student.clone(), loss.memory_teacher.clone()]
    constants = [None, None]
    for _ in range(3):
        student, teacher, index, contrast = batch()
        embeds = [
            functional.normalize(linear(feats), dim=1)
            for linear, feats in (
                (loss.embed_s, student),
                (loss.embed_t, teacher),
            )
        ]
        expected = 0.0
        for k, embed in enumerate(embeds):
            term, constants[k] = cls_baselines_b.nce(
                embed, banks[1 - k], contrast, 0.07, constants[k]
            )
            expected = expected + term
        value = loss(student, teacher, index, contrast)
        torch.testing.assert_close(value, expected)
        for bank, embed in zip(banks, embeds, strict=True):
            cls_baselines_b.remember(bank, index, embed, 0.5)
        torch.testing.assert_close(loss.memory_student, banks[0])
        torch.testing.assert_close(loss.memory_teacher, banks[1])


def test_what_a_call_changes():
    loss = build()
    before = copy.deepcopy(loss.state_dict())
    student, teacher, index, contrast = batch()
    loss(student, teacher, index, contrast)
    others = torch.ones(40, dtype=torch.bool)
    others[index] = False
    for side in ('student', 'teacher'):
        bank, old = getattr(loss, f'memory_{side}'), before[f'memory_{side}']
        assert torch.equal(bank[others], old[others])
        assert not torch.isclose(bank[index], old[index]).all(1).any()
        norms = bank[index].norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
    constants = loss.z_student.clone(), loss.z_teacher.clone()
    assert all(constant > 0 for constant in constants)
    loss(*batch())
    assert (loss.z_student, loss.z_teacher) == constants
    after = copy.deepcopy(loss.state_dict())
    loss.eval()(*batch())
    assert all(torch.equal(after[k], v) for k, v in loss.state_dict().items())


def test_rehearsal_leaves_no_trace():
    loss = build().eval()
    before = copy.deepcopy(loss.state_dict())
    assert loss(*batch()).isfinite()
    assert all(torch.equal(before[k], v) for k, v in loss.state_dict().items())


def test_gradient_reaches_both_embeddings_but_not_the_teacher():
    loss = build()
    student, teacher, index, contrast = batch()
    student.requires_grad_()
    teacher.requires_grad_()
    loss(student, teacher, index, contrast).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    for name, parameter in loss.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_resumed_run_is_the_same():
    loss = build(loss_weight=0.8)
    loss(*batch())
    again = build(loss_weight=0.8)
    again.load_state_dict(loss.state_dict())
    step = batch()
    assert torch.equal(loss(*step), again(*step))
    assert torch.equal(loss.memory_student, again.memory_student)


def test_negatives_are_different_samples_of_other_classes():
    loss = build(num_negatives=20)
    labels = torch.arange(40) % 4
    loss.set_dataset_labels(labels, CPU)
    index = torch.tensor([3, 17, 39])
    drawn = loss._draw(index)
    assert drawn.shape == (3, 21)
    assert torch.equal(drawn[:, 0], index)
    assert (labels[drawn[:, 1:]] != labels[index][:, None]).all()
    assert all(len(row.unique()) == 20 for row in drawn[:, 1:])
    seen = torch.cat([loss._draw(index)[0, 1:] for _ in range(40)]).bincount(
        minlength=40
    )
    assert ((seen > 0) == (labels != labels[3])).all()
    loss = build(num_negatives=100, replacement=True, positive='relax')
    loss.set_dataset_labels(labels, CPU)
    drawn = torch.cat([loss._draw(index) for _ in range(10)])
    assert (labels[drawn[:, 0]] == labels[index].repeat(10)).all()
    assert len(drawn[:, 0].unique()) > 3


def test_without_classes_all_others_are_negatives():
    loss = build(num_negatives=200)
    index = torch.tensor([0, 39])
    for row, own in zip(loss._draw(index), (0, 39), strict=True):
        assert row[0] == own and own not in row[1:]
        assert set(row.tolist()) == set(range(40))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_and_maps(dtype):
    loss = CRDLoss(10, 14, 40, 8, num_negatives=12).eval()
    student, teacher, index, contrast = batch()
    half = [
        v.to(dtype)[:, :, None, None].expand(-1, -1, 2, 2)
        for v in (student, teacher)
    ]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(*half, index, contrast)
    assert value.dtype == torch.float32
    expected = loss(*(v.mean((2, 3)).float() for v in half), index, contrast)
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=0)


def test_messages():
    loss = MODELS.build(
        dict(
            type='mmkd.CRDLoss', student_dim=10, teacher_dim=14, num_samples=40
        )
    ).double()
    assert (loss.num_negatives, loss.temperature) == (16384, 0.07)
    student, teacher, index, contrast = batch()
    with pytest.raises(ValueError, match='num_samples=40.*has 50 samples'):
        loss.set_dataset_labels(torch.arange(50) % 5, CPU)
    with pytest.raises(ValueError, match='num_negatives=16384 different'):
        loss.set_dataset_labels(torch.arange(40) % 5, CPU)
    with pytest.raises(ValueError, match='reaches from .* to 40'):
        loss(student, teacher, index.clone().fill_(40), contrast)
    with pytest.raises(ValueError, match='student_dim=10'):
        loss(teacher, teacher, index, contrast)
    with pytest.raises(ValueError, match='cannot be used with views'):
        loss(student, teacher, index[:2], contrast)
    with pytest.raises(ValueError, match='contrast_idx must be'):
        loss(student, teacher, index, contrast[:, :1])
    for wrong in (
        dict(temperature=0),
        dict(momentum=2),
        dict(positive='near'),
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            build(**wrong)
