"""Variation of pixel features inside their class (IFVD)."""

from __future__ import annotations

import torch

from mmkd.models.losses.feature_pair_loss import FeaturePairLoss, Features
from mmkd.models.losses.label_maps import class_labels, downsample_labels
from mmkd.models.losses.precision import no_autocast
from mmkd.registry import MODELS
from mmkd.utils.settings import check_positive
from mmkd.utils.shapes import check_feature_maps

COUNT_EPS = 1e-6
COSINE_EPS = 1e-8


@MODELS.register_module()
class IntraClassFeatureVariationLoss(FeaturePairLoss):
    """Imitate how alike pixels are to the centre of their class.

    The centre of class c in an image is m_c = (sum of its pixels' features)
    / (number + 1e-6), of student and teacher each; v = cosine(f, m_c) of a
    pixel of class c, and v = 1 where there is no class.

    loss = mean over N, h, w of (v_s - v_t)^2.

    Gradient flows through the pixel and through the centre. Pixels without
    class add nothing, but count in the mean. A pixel of zeros gets no
    gradient. Published weight 20. Paper:
    https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf.

    Centres and cosines are products with the one-hot labels; no map of
    centres is formed.

    Args:
        num_classes: K.
        ignore_index: label of pixels without class; labels outside 0..K-1
            are without class as well.
        loss_weight: factor on the returned value.

    Shape:
        student, teacher: (N, C_s, h, w) and (N, C_t, h, w), or lists of such
            maps; channels may differ.
        labels: (N, H, W) or (N, 1, H, W), integers; nearest down-sampling
            takes the label at (floor(i H / h), floor(j W / w)).
        returns: scalar.

    Raises:
        ValueError: heights or widths differ, or labels of other images.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        check_positive(type(self).__name__, 19, num_classes=num_classes)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(  # type: ignore[override]
        self, student: Features, teacher: Features, labels: torch.Tensor
    ) -> torch.Tensor:
        """Compute the weighted loss; see the class."""
        pairs = self.pairs(student, teacher)
        with no_autocast(pairs[0][0]):
            terms = [self._term(s, t, labels) for s, t in pairs]
        return self.loss_weight * torch.stack(terms).sum()

    def _term(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        check_feature_maps(type(self).__name__, student, teacher)
        small = downsample_labels(labels, student.shape).to(student.device)
        classes = class_labels(
            small, self.num_classes, self.ignore_index, check=False
        ).flatten(1)
        known = torch.arange(self.num_classes, device=classes.device)
        one_hot = (classes[:, None] == known[:, None]).to(student.dtype)
        gap = self.variation(student.flatten(2), classes, one_hot)
        gap = gap - self.variation(teacher.flatten(2), classes, one_hot)
        return gap.square().mean()

    def variation(
        self,
        feats: torch.Tensor,
        classes: torch.Tensor,
        one_hot: torch.Tensor,
    ) -> torch.Tensor:
        """Return v, (N, P).

        Args:
            feats: (N, C, P).
            classes: (N, P), 0..K, K standing for "no class".
            one_hot: (N, K, P) of the classes 0..K-1.
        """
        counts = one_hot.sum(2)[:, :, None]
        centres = one_hot @ feats.mT / (counts + COUNT_EPS)
        norms = torch.linalg.vector_norm(feats, dim=1)
        centre_norms = torch.linalg.vector_norm(centres, dim=2)
        index = classes.clamp(max=self.num_classes - 1)
        dots = (centres @ feats).gather(1, index[:, None])[:, 0]
        norm = (norms * centre_norms.gather(1, index)).clamp(min=COSINE_EPS)
        cosine = torch.where(norms > 0, dots / norm, 0)
        own = norms.detach().square()
        itself = own / own.clamp(min=COSINE_EPS)
        return torch.where(classes < self.num_classes, cosine, itself)

    def extra_repr(self) -> str:
        """Return the settings shown by ``print(model)``."""
        return f'num_classes={self.num_classes}, {super().extra_repr()}'
