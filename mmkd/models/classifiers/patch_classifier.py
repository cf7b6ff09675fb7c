"""A classifier that is trained on patches instead of images."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmkd.models.classifiers.proposals import build_selector, choose_windows
from mmkd.models.classifiers.weights import build_inner, load_whole
from mmkd.networks import freeze
from mmkd.registry import MODELS
from mmkd.tasks import num_classes

TEST_PATCHES = ('selected', 'five_crops')


@MODELS.register_module()
class PatchClassifier(ImageClassifier):
    """Any classifier of mmpretrain, on the patches of a proposal network.

    A proposal network, usually frozen, points at K windows of each image;
    these are cut out and classified like images of their own, each with the
    label of its image. Paper: Localizing Semantic Patches for Accelerating
    Image Classification, arXiv 2206.03367.

    Args:
        proposal: the proposal network, an ``ImageClassifier`` with a linear
            head: a model dict with its ``init_cfg``, or
            ``dict(config=..., checkpoint=...)``. It is stored with the
            classifier, so that a checkpoint is complete.
        selector: a `PatchSelector` or `MultiScalePatchSelector`; sizes of
            windows come from the proposal network's backbone.
        freeze_proposal: no gradients and no batch norm updates in it. False
            trains it by its own cross-entropy beside.
        test_patches: what predictions are made from: ``'selected'``, the
            mean of the logits of the K patches, or ``'five_crops'``, that
            of the corners and the centre, as the authors validate.
        **kwargs: ``backbone``, ``neck``, ``head`` and the other arguments of
            mmpretrain's ``ImageClassifier``.

    Shape:
        input: (N, 3, H, W), at least as large as a window.
        loss: cross-entropy of the head, mean over N * K patches.
        mode='tensor': (N, Q), the mean of the patches' logits.

    Raises:
        ValueError: numbers of classes or sizes of windows differ, or an
            unknown ``test_patches``.
    """

    def __init__(
        self,
        proposal: Any,
        selector: Any = None,
        freeze_proposal: bool = True,
        test_patches: str = 'selected',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if test_patches not in TEST_PATCHES:
            raise ValueError(
                f'PatchClassifier: test_patches={test_patches!r} is unknown; '
                f'set it to one of {", ".join(TEST_PATCHES)}'
            )
        self.proposal = build_inner(proposal, 'proposal')
        check_classes(proposal=self.proposal, head=self)
        self.selector = build_selector(selector, self.proposal)
        self.freeze_proposal = freeze_proposal
        self.test_patches = test_patches
        if freeze_proposal:
            freeze(self.proposal)

    def init_weights(self) -> None:
        """Initialise; the whole file of the proposal network must fit."""
        super().init_weights()
        load_whole(self.proposal, 'proposal')

    def train(self, mode: bool = True) -> PatchClassifier:
        """Set the mode; a frozen proposal network stays in eval mode."""
        super().train(mode)
        if self.freeze_proposal:
            self.proposal.eval()
        return self

    def select(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, K, 4) and valid (N, K) of images (N, 3, H, W)."""
        return choose_windows(self.proposal, self.selector, inputs)

    def patches(self, inputs: Tensor) -> Tensor:
        """Return the chosen patches (N * K, 3, P, P), image by image."""
        boxes, _ = self.select(inputs)
        return self.selector.crop(inputs, boxes)

    def patch_logits(self, patches: Tensor) -> Tensor:
        """Return the logits of patches: (B, 3, P, P) to (B, Q)."""
        return self.head(self.extract_feat(patches))

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """See mmpretrain; ``'tensor'`` returns the logits (N, Q)."""
        if mode == 'tensor':
            return self._image_logits(inputs)
        return super().forward(inputs, data_samples, mode)

    def loss(
        self, inputs: Tensor, data_samples: list[DataSample]
    ) -> dict[str, Tensor]:
        """Return the losses of the head on all patches."""
        patches = self.patches(inputs)
        count = len(patches) // len(inputs)
        repeated = [s for s in data_samples for _ in range(count)]
        losses = super().loss(patches, repeated)
        if not self.freeze_proposal:
            own = self.proposal.loss(inputs, data_samples)
            losses['loss_proposal'] = own['loss']
        return losses

    def predict(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        **kwargs: Any,
    ) -> list[DataSample]:
        """Return the samples with ``pred_score`` and ``pred_label``."""
        logits = self._image_logits(inputs)
        return self.head._get_predictions(logits, data_samples, **kwargs)

    def _image_logits(self, inputs: Tensor) -> Tensor:
        if self.test_patches == 'five_crops':
            boxes = five_crops(inputs, self.selector.patch_size)
            patches = self.selector.crop(inputs, boxes)
        else:
            patches = self.patches(inputs)
        logits = self.patch_logits(patches)
        return logits.view(len(inputs), -1, logits.shape[-1]).mean(1)


def five_crops(images: Tensor, size: int) -> Tensor:
    """Return the boxes (N, 5, 4) of the four corners and the centre."""
    height, width = images.shape[-2:]
    bottom, right = height - size, width - size
    corners = torch.tensor(
        [
            (0, 0),
            (0, right),
            (bottom, 0),
            (bottom, right),
            (bottom // 2, right // 2),
        ],
        device=images.device,
    )
    boxes = torch.cat([corners, corners + size - 1], 1)
    return boxes.expand(len(images), -1, -1)


def check_classes(**networks: Any) -> None:
    """Refuse networks of one cascade with other numbers of classes.

    Raises:
        ValueError: names them.
    """
    counts = {name: num_classes(network) for name, network in networks.items()}
    known = {count for count in counts.values() if count is not None}
    if len(known) > 1:
        given = ', '.join(f'{name}: {n}' for name, n in counts.items())
        raise ValueError(
            f'the networks have other numbers of classes ({given}), but the '
            'proposal network ranks patches by the classes that are '
            'learned; set head.num_classes of all alike'
        )
