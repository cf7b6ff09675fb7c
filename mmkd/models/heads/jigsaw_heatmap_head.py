"""mmpose's heat-map head, which also says where the patches are."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead

from mmkd.models.losses.precision import at_least_float32
from mmkd.models.pretrainers.jigsaw_heatmap import JigsawHeatmap
from mmkd.registry import MODELS
from mmkd.utils.types import type_name


@MODELS.register_module()
class JigsawHeatmapHead(HeatmapHead):
    """``HeatmapHead`` with one output channel per patch of a puzzle.

    Layers, initialisation and loss are inherited. The predictions carry
    ``patch_slots`` (1, K), int64, in ``pred_instances``: the slot of the
    shuffled crop at which map k points. ``keypoints`` are there too, but
    mean nothing in the photo.

    Args:
        in_channels: channels of the last feature map.
        out_channels: K, rows x columns of the decoder's grid; None takes
            it from there.
        decoder: config of a `JigsawHeatmap`.
        **kwargs: further arguments of ``HeatmapHead``.

    Raises:
        TypeError: the decoder is none for puzzles.
        ValueError: ``out_channels`` does not fit the grid, or a flip test is
            asked for in prediction.
        FloatingPointError: the loss is not finite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        decoder: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        if type_name(decoder.get('type')) != 'JigsawHeatmap':
            raise TypeError(
                f'JigsawHeatmapHead: decoder.type={decoder.get("type")!r} '
                "knows no patches; set decoder=dict(type='JigsawHeatmap', "
                'input_size=..., heatmap_size=..., sigma=..., grid_size=...)'
            )
        rows, columns = decoder.get('grid_size', (4, 3))
        if out_channels is None:
            out_channels = rows * columns
        if out_channels != rows * columns:
            raise ValueError(
                f'JigsawHeatmapHead: out_channels={out_channels}, but '
                f'decoder.grid_size={(rows, columns)} has {rows * columns} '
                f'patches; set out_channels={rows * columns} or leave it out'
            )
        super().__init__(in_channels, out_channels, decoder=decoder, **kwargs)
        self.decoder: JigsawHeatmap

    def forward(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return heat maps (N, K, h, w), float32 in mixed precision too."""
        return at_least_float32(super().forward(feats))

    def loss(
        self,
        feats: tuple[torch.Tensor, ...],
        batch_data_samples: list[Any],
        train_cfg: dict[str, Any] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return ``loss_kpt`` and ``acc_pose`` of ``HeatmapHead``.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        losses = super().loss(feats, batch_data_samples, train_cfg or {})
        value = losses['loss_kpt'].detach()
        if not value.isfinite():
            raise FloatingPointError(
                f'JigsawHeatmapHead: loss_kpt is {float(value)}: training '
                'stops before the step. Lower '
                'optim_wrapper.optimizer.lr or clip gradients; without '
                '--amp, float32 is used'
            )
        return losses

    def predict(
        self,
        feats: tuple[torch.Tensor, ...],
        batch_data_samples: list[Any] | None,
        test_cfg: dict[str, Any] | None = None,
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Predict slots and points.

        Args:
            feats: feature maps; the last one (N, C, H, W) is read.
            batch_data_samples: not used.
            test_cfg: ``output_heatmaps`` as in ``HeatmapHead``.

        Returns:
            N predictions, and the N heat maps (K, h, w) if asked for.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            raise ValueError(
                'JigsawHeatmapHead: flip_test=True, but patches have no flip '
                'pairs: a mirrored puzzle is another puzzle; set '
                'model.test_cfg=dict(flip_test=False)'
            )
        heatmaps = self.forward(feats)
        predictions = self.decode(heatmaps)
        slots = self.decoder.decode_slots(heatmaps.detach()).cpu().numpy()
        for prediction, found in zip(predictions, slots, strict=True):
            prediction.patch_slots = found[None]
        if not test_cfg.get('output_heatmaps', False):
            return predictions
        return predictions, [
            PixelData(heatmaps=maps) for maps in heatmaps.detach()
        ]
