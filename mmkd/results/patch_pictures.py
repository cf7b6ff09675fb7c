"""Pictures of a cascade: patches, evidence, decisions, exits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from torch import Tensor

from mmkd.evaluation.early_exit import apply_thresholds, fixed_exit
from mmkd.evaluation.features import data_loader
from mmkd.results.cascade import collect_table, load_cascade
from mmkd.results.patch_explanation import explain
from mmkd.visualization.patches import plot_exits, plot_patches

FILES = ('patches.png', 'exits.png')


def picture_patches(
    config: Config,
    checkpoint: str,
    out: str | Path,
    *,
    split: str = 'test',
    images: Sequence[int] = (0,),
    device: str = 'cpu',
    exits: bool = True,
) -> list[str]:
    """Write the pictures; returns a line for each image and file.

    Args:
        config: of a `DynamicPatchClassifier`, with its data.
        checkpoint: of that cascade.
        out: folder; gets ``patches.png`` and ``exits.png``.
        split: of the data.
        images: numbers of those to draw.
        device: where the cascade runs.
        exits: run the whole split and draw where images leave.

    Raises:
        ValueError: there are no such images.
    """
    cascade = load_cascade(config, checkpoint, device)
    loader = data_loader(config, split, pipeline_of='test', batch_size=1)
    dataset: Any = loader.dataset
    wrong = [k for k in images if not 0 <= k < len(dataset)]
    if wrong or not images:
        raise ValueError(
            f'--images {list(images)}: the {split} split has the images 0 to '
            f'{len(dataset) - 1}'
        )
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows, lines = [], []
    for number in images:
        packed = dataset[number]
        inputs = packed['inputs'][None]
        batch = dict(inputs=inputs, data_samples=[packed['data_samples']])
        data = cascade.data_preprocessor(batch, False)
        found = explain(cascade, data['inputs'])
        truth = int(packed['data_samples'].gt_label)
        title = f'{class_name(names, truth)}: {class_name(names, found.label)}'
        rows.append(
            dict(
                vars(found),
                image=shown_pixels(cascade, data['inputs']),
                title=title,
                logit=found.logit,
                proposal_logit=found.proposal_logit,
            )
        )
        lines.append(
            f'image {number}: {title} at stage {found.stage}, logit '
            f'{found.logit:.3f} = '
            + ' + '.join(
                f'{c:.3f}' for c in found.contributions[: found.stage]
            )
        )
    size = cascade.proposal.backbone.patch_size
    plot_patches(rows, folder / FILES[0], size)
    files = [FILES[0]]
    if exits:
        table, costs = collect_table(cascade, config, split)
        limits = cascade.exit_thresholds
        if limits is None:
            limits = fixed_exit(table.num_stages, table.num_stages - 1)
        result = apply_thresholds(table, limits, costs)
        plot_exits(result.stage_count, result.stage_correct, folder / FILES[1])
        files.append(FILES[1])
    return [*lines, *(str(folder / file) for file in files)]


def class_name(names: Sequence[str], label: int) -> str:
    """Return the name of a class, or its number where there is none."""
    return names[label] if label < len(names) else str(label)


def shown_pixels(model: Any, inputs: Tensor) -> np.ndarray:
    """Return the image (H, W, 3) that the networks were shown, as uint8."""
    preprocessor = model.data_preprocessor
    image = inputs[0]
    if getattr(preprocessor, '_enable_normalize', False):
        image = image * preprocessor.std + preprocessor.mean
    pixels = image.clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)
