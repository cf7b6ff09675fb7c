from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd.models.losses import PixelRegionMemoryLoss
from mmkd.registry import MODELS
from tests.references import cirkd

QUEUES = ('pixel_queue', 'region_queue', 'pixel_ptr', 'region_ptr')
SMALL = dict(
    num_classes=4,
    student_channels=6,
    teacher_channels=8,
    pixel_memory_size=50,
    region_memory_size=5,
    pixel_contrast_size=47,
    region_contrast_size=8,
    ignore_index=-1,
    pixel_loss_weight=1.0,
    region_loss_weight=1.0,
)


def build(**settings):
    return PixelRegionMemoryLoss(**{**SMALL, **settings})


def batch(n=2, h=6, w=7, dtype=torch.float32):
    student = torch.randn(n, 6, h, w, dtype=dtype, requires_grad=True)
    labels = torch.randint(-1, 4, (n, 4 * h, 4 * w))
    return student, torch.randn(n, 8, h, w, dtype=dtype), labels


def queues(loss):
    return {name: getattr(loss, name).clone() for name in QUEUES}


def fixed_slots(loss):
    return dict(
        pixel_index=torch.arange(loss.num_pixel_slots),
        region_index=torch.arange(loss.num_region_slots),
    )


def load_golden(loss, case):
    state = {name: case[f'init_{name}'] for name in QUEUES}
    for name in ('0_weight', '1_weight', '1_bias', '3_weight'):
        state[f'projection.{name.replace("_", ".")}'] = case[f'param_{name}']
    missing, unexpected = loss.load_state_dict(state, strict=False)
    assert not unexpected
    assert all('running' in key or 'tracked' in key for key in missing)


def test_golden(golden):
    case = {
        key: torch.from_numpy(value)
        for key, value in golden('cirkd', '09_memory_forward').items()
        if value.ndim
    }
    values = golden('cirkd', '09_memory_forward')
    loss = build()
    load_golden(loss, case)
    student = case['student_feat'].requires_grad_()
    parts = loss(
        student,
        case['teacher_feat'],
        case['labels'],
        draws=case['draws'],
        pixel_index=case['pixel_contrast_index'],
        region_index=case['region_contrast_index'],
    )
    parameters = dict(loss.projection.named_parameters())
    for kind, key in (('pixel', 'p2p'), ('region', 'p2r')):
        value = parts[f'loss_memory_{key}']
        torch.testing.assert_close(
            value.item(), float(values[f'loss_{kind}']), rtol=1e-5, atol=2e-6
        )
        grads = torch.autograd.grad(
            value, [student, *parameters.values()], retain_graph=True
        )
        names = [name.replace('.', '_') for name in parameters]
        for name, grad in zip(['student_feat', *names], grads, strict=True):
            expected = case[f'grad_{kind}_{name}']
            error = (grad - expected).abs().max()
            assert error <= 3e-5 * expected.abs().max(), name
    for name in QUEUES:
        torch.testing.assert_close(
            getattr(loss, name), case[f'final_{name}'], rtol=0, atol=1e-6
        )
    norm = loss.projection[1]
    for name in ('running_mean', 'running_var'):
        torch.testing.assert_close(getattr(norm, name), case[f'bn_{name}'])


@pytest.mark.parametrize('sampling', ['leading', 'class'])
@pytest.mark.parametrize('kd_temperature', [1.0, 2.0])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)]
)
def test_equals_plain_form(sampling, kd_temperature, dtype, tolerance):
    loss = build(
        pixel_sampling=sampling,
        contrast_kd_temperature=kd_temperature,
        chunk_size=5,
    ).to(dtype)
    student, teacher, labels = batch(dtype=dtype)
    small = cirkd.nearest_labels(labels, (6, 7))
    draws = cirkd.draw_positions(small, -1, 16, torch.Generator())
    expected_queues = queues(loss)
    cirkd.update_queues(
        expected_queues,
        nn.functional.normalize(teacher, dim=1),
        small,
        draws,
        sampling,
    )
    slots = dict(
        pixel_index=torch.randperm(50)[:12],
        region_index=torch.randperm(5)[:3],
    )
    parts = loss(student, teacher, labels, draws=draws, **slots)

    for name, expected in expected_queues.items():
        torch.testing.assert_close(getattr(loss, name), expected)
    valid = small.flatten() >= 0
    s = cirkd.unit_pixels(loss.projection(student)).flatten(0, 1)[valid]
    t = cirkd.unit_pixels(teacher).flatten(0, 1)[valid]
    for kind, key in (('pixel', 'p2p'), ('region', 'p2r')):
        bank = expected_queues[f'{kind}_queue'][:, slots[f'{kind}_index']]
        expected = cirkd.memory_relation(
            s, t, bank.flatten(0, 1), 0.1, kd_temperature
        )
        ours = parts[f'loss_memory_{key}']
        assert ours.dtype == dtype and ours >= 0
        grads = [
            torch.autograd.grad(value, student, retain_graph=True)[0]
            for value in (ours, expected)
        ]
        for value, wanted in ((ours, expected), grads):
            error = (value - wanted).abs().max()
            assert error <= tolerance * wanted.abs().max()


def test_ignored_pixels_change_nothing():
    losses = [build(), build()]
    losses[1].load_state_dict(losses[0].state_dict())
    student, teacher, labels = batch()
    labels = labels.clamp(min=0)
    labels[:, :, :8] = -1  # the two left columns of the features
    other = teacher.clone()
    other[:, :, :, :2] = torch.randn(2, 8, 6, 2)
    results = []
    for loss, feats in zip(losses, (teacher, other), strict=True):
        torch.manual_seed(5)
        loss.pixel_sampling = 'class'
        results.append(loss(student, feats, labels))
    assert results[0] == results[1]
    for name in QUEUES:
        assert torch.equal(getattr(losses[0], name), getattr(losses[1], name))
    # not vacuous: a pixel that counts does matter
    other[:, :, :, 5] = torch.randn(2, 8, 6)
    torch.manual_seed(5)
    losses[1].load_state_dict(losses[0].state_dict())
    changed = losses[1](student, other, labels)
    assert changed['loss_memory_p2p'] != results[0]['loss_memory_p2p']


def test_all_ignored_gives_exact_zeros_and_untouched_queues():
    loss = build()
    before = queues(loss)
    student, teacher, labels = batch()
    parts = loss(student, teacher, torch.full_like(labels, -1))
    sum(parts.values()).backward()
    assert [value.item() for value in parts.values()] == [0.0, 0.0]
    assert torch.equal(student.grad, torch.zeros_like(student))
    assert all(
        p.grad is not None and p.grad.abs().max() == 0
        for p in loss.parameters()
    )
    for name, value in before.items():
        assert torch.equal(getattr(loss, name), value)


def test_absent_class_is_never_touched_and_pointers_stay_inside():
    loss = build()
    before = queues(loss)
    for _ in range(8):
        student, teacher, labels = batch()
        labels[labels == 2] = 1
        loss(student, teacher, labels)
        assert (loss.pixel_ptr < 50).all() and (loss.region_ptr < 5).all()
    for name, value in before.items():
        now = getattr(loss, name)
        assert torch.equal(now[2], value[2])
        assert not torch.equal(now, value)
    for name in ('pixel_queue', 'region_queue'):
        norms = getattr(loss, name).norm(dim=2)
        torch.testing.assert_close(norms, torch.ones_like(norms))


def test_evaluation_does_not_write():
    loss = build().eval()
    before = queues(loss)
    student, teacher, labels = batch()
    parts = loss(student, teacher, labels)
    assert all(value > 0 for value in parts.values())
    for name, value in before.items():
        assert torch.equal(getattr(loss, name), value)


def test_gradient_reaches_student_and_projection_only():
    loss = build()
    student, teacher, labels = batch()
    teacher.requires_grad_()
    sum(loss(student, teacher, labels).values()).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0
    assert all(p.grad.abs().max() > 0 for p in loss.parameters())
    assert not any(buffer.requires_grad for buffer in loss.buffers())


def test_gradcheck():
    loss = build().double().eval()
    student, teacher, labels = batch(n=1, h=2, w=3, dtype=torch.float64)
    slots = fixed_slots(loss)
    assert torch.autograd.gradcheck(
        lambda s: tuple(loss(s, teacher, labels, **slots).values()), student
    )


def test_equal_embeddings_give_zero():
    loss = build(student_channels=8).eval()
    loss.projection = nn.Identity()
    _, teacher, labels = batch()
    parts = loss(teacher.clone(), teacher, labels)
    for value in parts.values():
        assert value.item() == pytest.approx(0, abs=1e-6)


def test_chunk_size_does_not_matter_and_weights_scale():
    student, teacher, labels = batch()
    base = build().eval()
    expected = base(student, teacher, labels, **fixed_slots(base))
    other = build(
        chunk_size=3, pixel_loss_weight=0.1, region_loss_weight=0.5
    ).eval()
    other.load_state_dict(base.state_dict())
    parts = other(student, teacher, labels, **fixed_slots(base))
    for key, weight in (('p2p', 0.1), ('p2r', 0.5)):
        torch.testing.assert_close(
            parts[f'loss_memory_{key}'],
            weight * expected[f'loss_memory_{key}'],
        )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    loss = build()
    student, teacher, labels = batch()
    student = student.detach().to(dtype).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        parts = loss(student, teacher.to(dtype), labels)
    sum(parts.values()).backward()
    assert all(
        value.dtype == torch.float32 and value.isfinite()
        for value in parts.values()
    )
    assert student.grad.isfinite().all()
    assert loss.pixel_queue.isfinite().all()


def test_teacher_from_inference_mode():
    loss = build()
    student, teacher, labels = batch()
    with torch.inference_mode():
        frozen = teacher * 1
    sum(loss(student, frozen, labels).values()).backward()
    assert student.grad.abs().max() > 0
    loss(student, teacher, labels)  # the queues are ordinary tensors still


def test_saved_and_resumed_step_is_identical(tmp_path):
    loss = build()
    loss(*batch())
    torch.save(loss.state_dict(), tmp_path / 'state.pth')
    resumed = build()
    resumed.load_state_dict(
        torch.load(tmp_path / 'state.pth', weights_only=True)
    )
    data = batch()
    results = []
    for module in (loss, resumed):
        torch.manual_seed(9)
        results.append(module(*data))
    assert results[0] == results[1]
    for name, value in loss.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def test_checkpoint_queues_switch():
    assert set(QUEUES) <= set(build().state_dict())
    without = build(checkpoint_queues=False)
    assert not set(QUEUES) & set(without.state_dict())
    assert set(QUEUES) <= dict(without.named_buffers()).keys()
    assert without.double().pixel_queue.dtype == torch.float64


def test_generator_repeats_the_draws():
    data, results = batch(), []
    reference = build()
    for _ in range(2):
        loss = build()
        loss.load_state_dict(reference.state_dict())
        generator = torch.Generator().manual_seed(3)
        results.append((loss(*data, generator=generator), loss.pixel_queue))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_contrast_slots_of_the_published_settings():
    for num_classes, slots in {11: (373, 94), 19: (216, 54)}.items():
        loss = PixelRegionMemoryLoss(
            num_classes, 4, 2, pixel_memory_size=400, region_memory_size=100
        )
        assert (loss.num_pixel_slots, loss.num_region_slots) == slots


def test_registered():
    loss = MODELS.build(dict(type='mmkd.PixelRegionMemoryLoss', **SMALL))
    assert isinstance(loss, PixelRegionMemoryLoss)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            dict(pixel_memory_size=12),
            'pixel_memory_size=12.*pixels_per_class=16',
        ),
        (dict(pixel_contrast_size=400), '101 slots.*pixel_memory_size=50'),
        (dict(region_contrast_size=20), '6 slots.*region_memory_size=5'),
        (dict(pixel_sampling='first'), "'first' is unknown"),
        (dict(contrast_temperature=0), 'contrast_temperature=0'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_wrong_input():
    loss = build()
    before = queues(loss)
    student, teacher, labels = batch()
    with pytest.raises(ValueError, match=r'\(2, 6, 6, 7\).*\(2, 8, 6, 6\)'):
        loss(student, teacher[..., :6], labels)
    with pytest.raises(ValueError, match='set student_channels=8'):
        loss(teacher, teacher, labels)
    with pytest.raises(ValueError, match='set teacher_channels=6'):
        loss(student, student, labels)
    with pytest.raises(ValueError, match=r'expected \(N, H, W\) with N=2'):
        loss(student, teacher, labels[:1])
    labels[0, 0, 0] = 255
    with pytest.raises(
        ValueError, match='label 255 found but ignore_index=-1'
    ):
        loss(student, teacher, labels)
    for name, value in before.items():
        assert torch.equal(getattr(loss, name), value)
