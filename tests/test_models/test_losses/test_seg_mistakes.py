"""What goes wrong with segmentation configs, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

pytest.importorskip('mmseg')
from mmkd.models.heads import ProjectionHead  # noqa: E402
from mmkd.models.losses import (  # noqa: E402
    MiniBatchPixelRelationLoss,
    PixelRegionMemoryLoss,
)
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.toys import toy_batch, toy_segmentor  # noqa: E402


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Warnings of mmengine's logger."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                found.append(record.getMessage())

    logger, handler = MMLogger.get_current_instance(), Keep()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Any]:
    def build(student: Any, teacher: Any, **losses: Any) -> Any:
        path = tmp_path / 'teacher.pth'
        torch.save(build_network(teacher).state_dict(), path)
        return MODELS.build(
            dict(
                type='mmkd.OfflineDistiller',
                student=student,
                teacher=dict(config=teacher, checkpoint=str(path)),
                taps=dict(
                    feats='decode_head.conv_seg:input',
                    logits='decode_head.conv_seg',
                ),
                losses=losses,
            )
        )

    return build


def memory(**changes: Any) -> PixelRegionMemoryLoss:
    settings = dict(
        num_classes=21,
        student_channels=4,
        teacher_channels=6,
        pixel_memory_size=200,
        region_memory_size=50,
    )
    return PixelRegionMemoryLoss(**{**settings, **changes})


def test_voc_with_default_weights_is_warned_of(said: list[str]) -> None:
    memory(pixel_loss_weight=0.01, region_loss_weight=0.01)
    memory(num_classes=19, pixel_memory_size=300, region_memory_size=60)
    assert not said
    memory()
    (text,) = said
    assert 'Pascal VOC, set both to 0.01' in text


def test_groups_that_do_not_divide_the_batch(said: list[str]) -> None:
    loss = MiniBatchPixelRelationLoss(group_size=2)
    maps = torch.randn(3, 4, 2, 2)
    loss.eval()(maps, maps)
    loss.train()(maps[:2], maps[:2])
    assert not said
    for _ in range(2):
        loss(maps, maps)
    (text,) = said
    assert '3 images are no multiple of group_size=2' in text


def test_coco_stuff_with_171_classes(build: Any) -> None:
    """Labels are the 182 ids, or the teacher knows these."""
    kd = dict(type='mmkd.KLDivLoss', on='logits')
    words = 'teacher predicts 182 classes, student 171'
    with pytest.raises(ValueError, match=words):
        build(toy_segmentor(2, 171), toy_segmentor(2, 182), kd=kd)
    model = build(toy_segmentor(2, 171), toy_segmentor(2, 171), kd=kd)
    batch = toy_batch('segmentation', 2)
    batch['data_samples'][0].gt_sem_seg.data[0, 0, 0] = 181
    data = model.data_preprocessor(batch, True)
    with pytest.raises(ValueError, match=r'labels contain \[181\].*=171'):
        model(**data, mode='loss')


def test_one_logit_under_a_softmax(build: Any) -> None:
    binary = toy_segmentor(2, 2)
    binary.decode_head.update(out_channels=1, threshold=0.5)
    binary.decode_head.loss_decode.use_sigmoid = True
    for loss, words in (
        (dict(type='mmkd.KLDivLoss'), 'set sigmoid=True'),
        (
            dict(type='mmkd.ChannelWiseDivergenceLoss', mode='spatial'),
            "set mode='channel'",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            build(binary, binary, kd=dict(loss, on='logits'))


def test_sync_bn_without_processes_is_batch_norm() -> None:
    head = ProjectionHead(3, 4, norm_cfg=dict(type='SyncBN'))
    plain = ProjectionHead(3, 4)
    plain.load_state_dict(head.state_dict())
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(head.train()(x), plain.train()(x))


def test_summary_tells_the_size_of_queues(build: Any) -> None:
    settings = dict(
        type='mmkd.PixelRegionMemoryLoss',
        on='feats',
        pixel_memory_size=200000,
        region_memory_size=2000,
        pixel_contrast_size=80,
        region_contrast_size=80,
    )
    model = build(toy_segmentor(2), toy_segmentor(4), memory=settings)
    # 8 classes x 202000 vectors of 8 numbers of 4 bytes
    assert '0.05 GB of memory, in every checkpoint' in model.summary()
    model = build(
        toy_segmentor(2),
        toy_segmentor(4),
        memory=dict(settings, checkpoint_queues=False),
    )
    assert '0.05 GB of memory, not in checkpoints' in model.summary()
    assert not any('queue' in key for key in model.state_dict())
