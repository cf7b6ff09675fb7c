"""The cascade: a look at the whole image, then patch after patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmkd.models.classifiers.cascade_cost import count_macs, stage_costs
from mmkd.models.classifiers.patch_classifier import check_classes
from mmkd.models.classifiers.proposals import build_selector, choose_windows
from mmkd.models.classifiers.resized_classifier import shrink
from mmkd.models.classifiers.weights import build_inner, load_whole
from mmkd.registry import MODELS

PARTS = ('proposal', 'global_net', 'patch_net')


@MODELS.register_module()
class DynamicPatchClassifier(BaseClassifier):
    """AnchorNet's cascade, which stops as soon as it is sure.

    Stage 1 classifies the image shrunk to the size of a patch; stage s adds
    the logits of patch s - 1. An image leaves at the first stage whose
    confidence, the largest softmax of the summed logits, is above that
    stage's threshold; at the last stage it always leaves. Only undecided
    images go on: the proposal network and the patch network see no others.
    Paper: Localizing Semantic Patches for Accelerating Image
    Classification, arXiv 2206.03367.

    Args:
        proposal, global_net, patch_net: the three networks: model dicts
            with ``init_cfg``, or ``dict(config=..., checkpoint=...)``. Of a
            patch classifier's file the proposal network is left out.
        selector: a `PatchSelector`; K patches make M = K + 1 stages.
        exit_thresholds: M numbers from 0 on; above 1 nobody leaves. None
            looks at everything.
        macs: multiply-adds per image of the three networks, under their
            names; None counts them (convolutions and linear layers).
        data_preprocessor: as in mmpretrain's ``ImageClassifier``.
        init_cfg: as there.

    Shape:
        input: (N, 3, H, W).
        mode='tensor': the table: confidences (N, M) and predicted classes
            (N, M) of all stages.
        mode='predict': samples with ``pred_score``, ``pred_label`` and the
            metainfo ``exit_stage`` (from 1) and ``macs``.

    Raises:
        ValueError: thresholds, classes or sizes of windows do not fit.
        TypeError: it is asked for a loss.
    """

    def __init__(
        self,
        proposal: Any,
        global_net: Any,
        patch_net: Any,
        selector: Any = None,
        exit_thresholds: Sequence[float] | None = None,
        macs: Mapping[str, float] | None = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            config = dict(data_preprocessor or {})
            config.setdefault('type', 'mmpretrain.ClsDataPreprocessor')
            data_preprocessor = ROOT_MODELS.build(config)
        super().__init__(
            init_cfg=init_cfg, data_preprocessor=data_preprocessor
        )
        self.proposal = build_inner(proposal, 'proposal')
        self.global_net = build_inner(global_net, 'global_net')
        self.patch_net = build_inner(patch_net, 'patch_net')
        check_classes(**{name: getattr(self, name) for name in PARTS})
        self.selector = build_selector(selector, self.proposal)
        self.num_stages = self.selector.num_patches + 1
        self.exit_thresholds = check_exits(exit_thresholds, self.num_stages)
        if macs is not None and set(macs) != set(PARTS):
            raise ValueError(
                f'DynamicPatchClassifier: macs has the keys {sorted(macs)}; '
                f'give {", ".join(PARTS)}, or leave it out to have them '
                'counted'
            )
        self.macs = None if macs is None else dict(macs)
        self._counted: dict[tuple[int, ...], dict[str, float]] = {}

    def init_weights(self) -> None:
        """Initialise; the whole files of the networks must fit."""
        super().init_weights()
        self.load_parts()

    def load_parts(self) -> None:
        """Load the files that the three networks name."""
        for name in PARTS:
            load_whole(getattr(self, name), name)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Return the table or the predictions, see the class."""
        if mode == 'tensor':
            return self.table(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise TypeError(
            f'DynamicPatchClassifier: mode={mode!r}: the cascade has no loss '
            'of its own; train proposal, global and patch network by their '
            'configs'
        )

    def stage_logits(self, images: Tensor) -> Tensor:
        """Return the summed logits of all stages, (N, M, Q), float32."""
        boxes, _ = choose_windows(self.proposal, self.selector, images)
        patches = self.selector.crop(images, boxes)
        logits = self.patch_net(patches, mode='tensor').float()
        logits = logits.view(len(images), -1, logits.shape[-1])
        first = self._first_look(images)[:, None]
        return torch.cat([first, logits], 1).cumsum(1)

    def table(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return confidences and classes (N, M) of all stages."""
        confidence, classes = self.stage_logits(images).softmax(-1).max(-1)
        return confidence, classes

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits that decided, (N, Q), and the stages, (N,).

        Stages are counted from 1.
        """
        total = self._first_look(images)
        if self.exit_thresholds is None:
            total = self.stage_logits(images)[:, -1]
            stages = total.new_full((len(images),), self.num_stages)
            return total, stages.long()
        result = total
        stages = torch.ones(
            len(images), dtype=torch.long, device=images.device
        )
        undecided = self._undecided(total, 1)
        if not len(undecided):
            return result, stages
        result, total = result.clone(), total[undecided]
        boxes, _ = choose_windows(
            self.proposal, self.selector, images[undecided]
        )
        for stage in range(2, self.num_stages + 1):
            window = boxes[:, stage - 2 : stage - 1]
            patches = self.selector.crop(images, window, undecided)
            total = total + self.patch_net(patches, mode='tensor').float()
            result[undecided] = total
            stages[undecided] = stage
            stay = self._undecided(total, stage)
            if stage == self.num_stages or not len(stay):
                break
            undecided, total, boxes = undecided[stay], total[stay], boxes[stay]
        return result, stages

    def predict(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
    ) -> list[DataSample]:
        """Return the samples with what the cascade found."""
        logits, stages = self.run(inputs)
        scores = logits.softmax(1)
        labels = scores.argmax(1, keepdim=True)
        costs = self.costs(inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in range(len(inputs))]
        for sample, score, label, stage in zip(
            data_samples, scores, labels, stages.tolist(), strict=True
        ):
            sample.set_pred_score(score).set_pred_label(label)
            sample.set_metainfo(dict(exit_stage=stage, macs=costs[stage - 1]))
        return data_samples

    def costs(self, images: Tensor) -> list[float]:
        """Return the multiply-adds of an image that leaves at each stage."""
        macs = self.macs or self._count(images)
        return stage_costs(
            macs['global_net'],
            macs['patch_net'],
            macs['proposal'],
            self.num_stages,
        )

    def _count(self, images: Tensor) -> dict[str, float]:
        shape = tuple(images.shape[1:])
        if shape not in self._counted:
            size = self.selector.patch_size
            small = images.new_zeros(1, shape[0], size, size)
            self._counted[shape] = dict(
                proposal=count_macs(self.proposal, images),
                global_net=count_macs(self.global_net, small),
                patch_net=count_macs(self.patch_net, small),
            )
        return self._counted[shape]

    def _first_look(self, images: Tensor) -> Tensor:
        small = images
        if not hasattr(self.global_net, 'input_size'):
            small = shrink(images, self.selector.patch_size)
        logits: Tensor = self.global_net(small, mode='tensor').float()
        return logits

    def _undecided(self, logits: Tensor, stage: int) -> Tensor:
        """Return which rows of logits (N, Q) go on, (N',)."""
        confidence = logits.softmax(1).amax(1)
        threshold = (self.exit_thresholds or ())[stage - 1]
        return (~(confidence > threshold)).nonzero().flatten()


def check_exits(
    thresholds: Sequence[float] | None, num_stages: int
) -> tuple[float, ...] | None:
    """Return the thresholds of M stages.

    Raises:
        ValueError: another number of them, or one below 0 or NaN.
    """
    if thresholds is None:
        return None
    values = tuple(float(value) for value in thresholds)
    if len(values) != num_stages:
        raise ValueError(
            f'exit_thresholds has {len(values)} entries, but there are '
            f'{num_stages} stages: the whole image and '
            f'selector.num_patches={num_stages - 1} patches; give one for '
            'each (the last is never asked)'
        )
    wrong = [value for value in values if not value >= 0]
    if wrong:
        raise ValueError(
            f'exit_thresholds={list(values)} holds {wrong}; a confidence is '
            'a number from 0 to 1: give 0 to always leave and more than 1 to '
            'never leave at a stage'
        )
    return values
