"""Which normalisation suits the teacher? Tried, not guessed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn import functional

from mmkd.doctor.answers import Answers, ask
from mmkd.doctor.finding import Finding
from mmkd.doctor.patient import Patient, Shown
from mmkd.doctor.score import chance, joined, share_right
from mmkd.models.distillers.normalization import Renormalize, pixel_constants
from mmkd.models.distillers.teacher import Teacher

_FEWEST = 12
_SURE = 3.0  # standard errors
_SURE_OF_TWO = 2.3  # the same, for the one other order of the colours
_GAIN = 0.12  # of the loss, where there are no classes
_SURER = 0.08  # of the probability of the right class
_APART = 0.05  # of the loss at the best temperature
_GOOD = 0.02  # the least loss that counts
_KEPT = 2  # candidates that see all images
_FIRST = 8  # images that all candidates see
_ALIKE = 1.0  # pixel values; nearer constants are not told apart
_SMALL = 128  # pixels; larger images are not enlarged


@dataclass(frozen=True)
class Candidate:
    """A normalisation: (x - mean) / std of RGB images, or of BGR ones."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    swap: bool = False
    size: float = 1.0


KNOWN = (
    Candidate('ImageNet', (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    Candidate('-1 to 1', (127.5,) * 3, (127.5,) * 3),
    Candidate('0 to 1', (0.0,) * 3, (255.0,) * 3),
    Candidate('raw', (0.0,) * 3, (1.0,) * 3),
    Candidate('mean alone', (123.675, 116.28, 103.53), (1.0,) * 3),
    Candidate('CLIP', (122.771, 116.746, 104.094), (68.501, 66.632, 70.323)),
    Candidate('(x - 127.5) / 64', (127.5,) * 3, (64.0,) * 3),
)


def check_normalization(patient: Patient) -> Iterator[Finding]:
    """Show every teacher the images in other ways; keep what it knows best."""
    for label, teacher in patient.teachers:
        now = patient.answers[label]
        count = sum(len(a.loss) for a in now)
        loss = _losses(now)
        if count < _FEWEST or not loss.isfinite().all():
            continue
        if patient.batches[0].images.shape[1] != 3:
            continue
        yield from _try_all(patient, label, teacher, now)


def _try_all(
    patient: Patient,
    label: str,
    teacher: Teacher,
    now: list[Answers],
) -> Iterator[Finding]:
    own = _own(patient, teacher)
    trials = [Candidate('', own.mean, own.std, not own.swap)]
    trials += [_with_swap(c, own.swap) for c in KNOWN]
    sizes = [0.5]
    if max(patient.batches[0].images.shape[-2:]) <= _SMALL:
        sizes.append(2.0)
    trials += [Candidate('', own.mean, own.std, own.swap, s) for s in sizes]
    some, rest = _parted(patient.batches, bool(teacher._norms))
    first = []  # all on some images, the best ones on all
    for candidate in trials:
        if _same(candidate, own) or not patient.has_time:
            continue
        answers = list(_answers(patient, teacher, candidate, some))
        value = float(_merit(answers).mean())
        if math.isfinite(value):
            first.append((value, candidate, answers))
    first.sort(key=lambda entry: -entry[0])
    found: list[tuple[float, Candidate, list[Answers]]] = []
    for number, (_, candidate, answers) in enumerate(first[:_KEPT]):
        if number and not patient.has_time:
            break
        answers += _answers(patient, teacher, candidate, rest)
        if _better(now, answers, _SURE if candidate.name else _SURE_OF_TWO):
            found.append((float(_merit(answers).mean()), candidate, answers))
    if not found:
        return
    _, best, answers = max(found, key=lambda entry: entry[0])
    yield _finding(label, own, best, now, answers)


def _with_swap(candidate: Candidate, swap: bool) -> Candidate:
    mean, std = candidate.mean, candidate.std
    if not swap:
        # The order of the images is that of the files, which is BGR; a
        # teacher of BGR images has its mean in that order, too.
        mean, std = mean[::-1], std[::-1]
    return Candidate(candidate.name, mean, std, swap)


def _own(patient: Patient, teacher: Teacher) -> Candidate:
    """Return how the teacher is shown its images now."""
    network: Any = teacher.network
    preprocessor: Any = getattr(network, 'data_preprocessor', None)
    if isinstance(teacher.renormalize, Renormalize):
        given = pixel_constants(preprocessor)
    else:
        given = pixel_constants(patient.distiller.data_preprocessor)
    mean, std, swap = given
    return Candidate(
        '',
        tuple(mean.expand(3).tolist()),
        tuple(std.expand(3).tolist()),
        swap,
    )


def _same(one: Candidate, two: Candidate) -> bool:
    values = zip(one.mean + one.std, two.mean + two.std, strict=True)
    return (
        one.swap == two.swap
        and one.size == two.size
        and all(abs(a - b) < _ALIKE for a, b in values)
    )


def _parted(
    batches: Sequence[Shown], whole: bool
) -> tuple[list[Shown], list[Shown]]:
    """Return the first images and the others, or batches that stay whole."""
    first, rest = batches[0], list(batches[1:])
    if whole or len(first.images) <= _FIRST:
        return [first], rest
    parts = [
        Shown(first.images[part], first.samples[part], first.inputs)
        for part in (slice(_FIRST), slice(_FIRST, None))
    ]
    return parts[:1], [parts[1], *rest]


def _answers(
    patient: Patient,
    teacher: Teacher,
    candidate: Candidate,
    batches: Sequence[Shown],
) -> Iterator[Answers]:
    """Return the answers to some images under ``candidate``."""
    settings: Any = SimpleNamespace(
        mean=torch.tensor(candidate.mean),
        std=torch.tensor(candidate.std),
        channel_conversion=candidate.swap,
    )
    renormalize = Renormalize(patient.distiller.data_preprocessor, settings)
    for batch in batches:
        images = renormalize.to(batch.images.device)(batch.images)
        if candidate.size != 1.0:
            images = functional.interpolate(
                images,
                scale_factor=candidate.size,
                mode='bilinear',
                align_corners=False,
            )
        try:
            yield ask(
                teacher.network, patient.cast(teacher, images), batch.samples
            )
        except (RuntimeError, ValueError):  # a network of fixed size
            nothing = torch.full((len(images),), float('nan'))
            yield Answers(nothing, None, None, None, [])
            return


def _better(now: list[Answers], other: list[Answers], sure: float) -> bool:
    """Whether answers are better, image by image, by more than chance.

    Where there are classes, two things must hold: the right class is given
    more probability, and it is told apart better at a temperature that suits
    the teacher, as more contrast alone would make it surer of everything.
    """
    before, after = _losses(now), _losses(other)
    if len(before) != len(after) or not after.isfinite().all():
        return False
    gain = (_merit(other) - _merit(now)).double()
    if bool(gain.mean() <= sure * gain.std() / len(gain) ** 0.5):
        return False
    if len(joined(now)[1]):
        if (share_right(other) or 0.0) <= chance(other):
            return False  # it knows nothing, however it is shown
        apart = float(before.mean() - after.mean())
        least = max(_APART * float(before.mean()), _GOOD)
        surer = float(gain.mean()) > _SURER * float(_merit(now).mean())
        return surer and apart > least
    return bool(gain.mean() > _GAIN * before.mean())


def _merit(answers: list[Answers]) -> torch.Tensor:
    """Return (N,) how well every image is answered: more is better.

    The probability of the right class, or the negative loss.
    """
    logits, labels = joined(answers)
    if not len(labels):
        return -_losses(answers)
    right = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    return _per_image(answers, right)


def _finding(
    label: str,
    own: Candidate,
    best: Candidate,
    now: list[Answers],
    answers: list[Answers],
) -> Finding:
    before, after = share_right(now), share_right(answers)
    text = 'its loss against the labels falls from '
    text += f'{_losses(now).mean():.3g} to {_losses(answers).mean():.3g}'
    if before is not None and after is not None:
        text = f'right for {before:.1%}, then for {after:.1%}; {text}'
    if best.size != 1.0:
        return Finding(
            'teacher-resolution',
            f'the {label} knows images of {best.size:g} times the size '
            f'better: {text}',
            'train at the size that the teacher was trained at',
            after,
        )
    if best.swap != own.swap:
        return Finding(
            'teacher-colours-swapped',
            f'the {label} knows images with red and blue exchanged better: '
            f'{text}',
            'change to_rgb (bgr_to_rgb) in the data_preprocessor of its '
            'config',
            after,
        )
    mean, std = (list(map(float, v)) for v in (best.mean, best.std))
    return Finding(
        'teacher-normalization',
        f'the {label} is shown images with mean {list(own.mean)} and std '
        f'{list(own.std)}; with mean {mean} and std {std} ({best.name}) it '
        f'knows them better: {text}',
        'give its config data_preprocessor=dict(mean=..., std=...) of its '
        'own training',
        after,
    )


def _losses(answers: list[Answers]) -> torch.Tensor:
    """Return the loss of every image.

    For classes, at the temperature that suits the teacher best: images of
    more contrast alone make it surer, not better.
    """
    own = torch.cat([a.loss for a in answers])
    logits, labels = joined(answers)
    if not len(labels) or not logits.isfinite().all():
        return own
    trials = [
        functional.cross_entropy(logits / 2.0**power, labels, reduction='none')
        for power in range(-20, 16)
    ]
    best = min(trials, key=lambda losses: float(losses.mean()))
    return _per_image(answers, best)


def _per_image(answers: list[Answers], values: torch.Tensor) -> torch.Tensor:
    """Return the mean of (P,) values over the pixels of every image."""
    first, parts = 0, []
    for one in answers:
        if one.images is not None:
            parts.append(one.images + first)
        first += len(one.loss)
    images = torch.cat(parts)
    zero = torch.zeros(first, device=values.device)
    count = zero.index_add(0, images, torch.ones_like(values))
    return zero.index_add(0, images, values) / count.clamp(min=1)
