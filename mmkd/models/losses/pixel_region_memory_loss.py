"""Pixel relations to a memory of teacher pixels and class regions."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmengine.logging import print_log
from torch.nn import functional

from mmkd.models.heads.projection_head import ProjectionHead
from mmkd.models.losses.fused_bank_kl import bank_relation_kl
from mmkd.models.losses.label_maps import class_labels, downsample_labels
from mmkd.models.losses.precision import no_autocast
from mmkd.models.memory import PixelRegionMemory, sample_slots
from mmkd.registry import MODELS
from mmkd.utils.indices import FirstGpuBatches
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_channels, check_feature_maps

VOC_CLASSES = 21


@MODELS.register_module()
class PixelRegionMemoryLoss(PixelRegionMemory):
    """Imitate similarities to remembered teacher pixels and regions.

    With unit vectors t_m of the teacher and s_m of the projected student at
    the M pixels that are not ignored, and V rows Q drawn from a queue,

    loss = T_c^2 / M sum_m KL(softmax(Q t_m / (tau T_c)) ||
    softmax(Q s_m / (tau T_c))),

    once with the pixel queue (``loss_memory_p2p``) and once with the region
    queue (``loss_memory_p2r``); the softmax runs over the rows of all
    classes. Without any valid pixel both are exactly 0. Paper:
    https://arxiv.org/abs/2204.06986, its memory-based relations.

    In training, each call first writes the teacher's vectors into the
    queues (of every process, in the order of ranks: all processes must hold
    equally many images and end with identical queues), then draws the slots
    to compare with (the same for every class, by each process for itself),
    then computes the losses of its own images. In evaluation nothing is
    written. No gradient reaches the teacher or the queues.

    Buffers: ``pixel_queue`` (K, pixel_memory_size, C_t), ``region_queue``
    (K, region_memory_size, C_t), ``pixel_ptr`` (K,), ``region_ptr`` (K,).
    The projection of the student, C_s -> C_t, is part of this module.

    Args:
        num_classes: K.
        student_channels: C_s.
        teacher_channels: C_t.
        pixel_memory_size: pixel vectors per class.
        region_memory_size: region vectors per class.
        pixel_contrast_size: about how many pixel vectors to compare with;
            pixel_contrast_size // K + 1 of every class.
        region_contrast_size: likewise for regions.
        pixels_per_class: pixels to remember per image and class.
        contrast_temperature: tau.
        contrast_kd_temperature: T_c.
        pixel_sampling: which pixels are remembered under a class of n
            pixels. 'class': random pixels of the class, as the paper says;
            'leading': random pixels among the first n of the image, as the
            published code does.
        pixel_loss_weight: factor on ``loss_memory_p2p``.
        region_loss_weight: factor on ``loss_memory_p2r``.
        ignore_index: label of pixels without class.
        norm_cfg: normalisation in the projection; None is plain batch
            normalisation, ``dict(type='SyncBN')`` the paper's.
        checkpoint_queues: keep queues and pointers in the ``state_dict``.
        chunk_size: pixels per chunk, without influence on the result; None
            fits it to the device.

    Shape:
        student_feats: (N, C_s, h, w).
        teacher_feats: (N, C_t, h, w).
        labels: (N, H, W) or (N, 1, H, W), integers; nearest down-sampling
            takes the label at (floor(i H / h), floor(j W / w)).
        returns: dict of two scalars. Computed in the precision of the
            parameters (float32 unless the module was converted).
    """

    def __init__(
        self,
        num_classes: int,
        student_channels: int,
        teacher_channels: int,
        pixel_memory_size: int = 20000,
        region_memory_size: int = 2000,
        pixel_contrast_size: int = 4096,
        region_contrast_size: int = 1024,
        pixels_per_class: int = 16,
        contrast_temperature: float = 0.1,
        contrast_kd_temperature: float = 1.0,
        pixel_sampling: str = 'leading',
        pixel_loss_weight: float = 0.1,
        region_loss_weight: float = 0.1,
        ignore_index: int = 255,
        norm_cfg: dict[str, Any] | None = None,
        checkpoint_queues: bool = True,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            teacher_channels,
            pixel_memory_size,
            region_memory_size,
            pixels_per_class,
            pixel_sampling,
            persistent=checkpoint_queues,
        )
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.num_pixel_slots = pixel_contrast_size // num_classes + 1
        self.num_region_slots = region_contrast_size // num_classes + 1
        self.contrast_temperature = contrast_temperature
        self.contrast_kd_temperature = contrast_kd_temperature
        self.pixel_loss_weight = pixel_loss_weight
        self.region_loss_weight = region_loss_weight
        self.ignore_index = ignore_index
        self.chunk_size = chunk_size
        self._may_look = FirstGpuBatches()
        self._check()
        self.projection = ProjectionHead(
            student_channels, teacher_channels, norm_cfg=norm_cfg
        )

    def _check(self) -> None:
        owner = type(self).__name__
        check_positive(
            owner,
            1.0,
            contrast_temperature=self.contrast_temperature,
            contrast_kd_temperature=self.contrast_kd_temperature,
        )
        for kind, slots, queue in (
            ('pixel', self.num_pixel_slots, self.pixel_queue),
            ('region', self.num_region_slots, self.region_queue),
        ):
            if slots > queue.shape[1]:
                raise ValueError(
                    f'{owner}: {kind}_contrast_size asks for {slots} slots '
                    f'of each of the {self.num_classes} classes, but '
                    f'{kind}_memory_size={queue.shape[1]}; enlarge '
                    f'{kind}_memory_size or reduce {kind}_contrast_size'
                )
        weights = self.pixel_loss_weight, self.region_loss_weight
        if self.num_classes == VOC_CLASSES and max(weights) >= 0.1:
            print_log(
                f'{owner}: pixel_loss_weight={weights[0]} and '
                f'region_loss_weight={weights[1]} with {VOC_CLASSES} classes: '
                'if this is Pascal VOC, set both to 0.01 as published; with '
                '0.1 users found the result below the student alone',
                logger='current',
                level=logging.WARNING,
            )

    def forward(
        self,
        student_feats: torch.Tensor,
        teacher_feats: torch.Tensor,
        labels: torch.Tensor,
        draws: torch.Tensor | None = None,
        pixel_index: torch.Tensor | None = None,
        region_index: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """Update the queues (in training) and compute the weighted losses.

        Args:
            student_feats: see the class.
            teacher_feats: see the class.
            labels: see the class.
            draws: pixels to remember instead of random ones, see
                ``select_pixels``; images are numbered in this process.
            pixel_index: (v,) slots of the pixel queue to compare with,
                instead of random ones.
            region_index: likewise for the region queue.
            generator: source of random numbers; None is PyTorch's default.

        Raises:
            ValueError: the maps do not fit each other or the settings, or
                labels lie outside the classes.
        """
        owner = type(self).__name__
        check_feature_maps(owner, student_feats, teacher_feats)
        check_channels(owner, 'student', student_feats, self.student_channels)
        check_channels(owner, 'teacher', teacher_feats, self.teacher_channels)
        classes = self._classes(labels, student_feats)
        dtype = self.pixel_queue.dtype
        with no_autocast(student_feats):
            student = _pixels(self.projection(student_feats.to(dtype)))
            teacher = _pixels(teacher_feats.detach().to(dtype))
            if self.training:
                self.remember(teacher, classes, draws, generator)
            pixel_bank = sample_slots(
                self.pixel_queue, self.num_pixel_slots, pixel_index, generator
            )
            region_bank = sample_slots(
                self.region_queue,
                self.num_region_slots,
                region_index,
                generator,
            )
            rows = self._weighted_rows(student, teacher, classes)
            p2p = self._compare(*rows, pixel_bank)
            p2r = self._compare(*rows, region_bank)
        return dict(
            loss_memory_p2p=self.pixel_loss_weight * p2p,
            loss_memory_p2r=self.region_loss_weight * p2r,
        )

    def _classes(
        self, labels: torch.Tensor, feats: torch.Tensor
    ) -> torch.Tensor:
        """Return labels (N, A) with K at pixels without class."""
        return class_labels(
            downsample_labels(labels, feats.shape),
            self.num_classes,
            self.ignore_index,
            check=self._may_look(labels),
        ).flatten(1)

    def _weighted_rows(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        classes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return student (M, D), teacher (M, D), and their weights (M,)."""
        student, teacher = student.flatten(0, 1), teacher.flatten(0, 1)
        valid = classes.flatten() < self.num_classes
        weight = valid.to(student.dtype) / valid.sum().clamp(min=1)
        if not valid.is_cuda:  # there, selecting would wait for the device
            student, teacher = student[valid], teacher[valid]
            weight = weight[valid]
        return student, teacher, weight * self.contrast_kd_temperature**2

    def _compare(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        weight: torch.Tensor,
        bank: torch.Tensor,
    ) -> torch.Tensor:
        scale = 1 / (self.contrast_temperature * self.contrast_kd_temperature)
        return bank_relation_kl(
            student, teacher, bank, weight, scale, self.chunk_size
        )


def _pixels(maps: torch.Tensor) -> torch.Tensor:
    """Return unit vectors (N, A, C) of a map (N, C, h, w)."""
    pixels = maps.flatten(2).transpose(1, 2).contiguous()
    return functional.normalize(pixels, dim=2)
