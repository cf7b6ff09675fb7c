"""Pictures of the heat maps of all peers of a pose cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.strict import fit_weights
from mmkd.cli.config import read_config
from mmkd.networks import networks_of
from mmkd.results.pose_pictures import chosen_people
from mmkd.visualization import draw_heatmaps, plot_panels


def picture_heatmaps(
    name: str, checkpoint: str, out: str | Path, **people: Any
) -> None:
    """Draw what every peer and the ensemble see, into a PNG file.

    The joints have different hues; the columns are the crop, the peers, the
    auxiliary classifiers and the mean of the peers.

    Args:
        name: config of the cohort.
        checkpoint: of its training, not of one exported peer.
        out: the file to write.
        people: see `mmkd.results.pose_pictures.picture_puzzles`.

    Raises:
        KeyError: the config has no cohort.
        ValueError: the weights are not the cohort's, its heads give no heat
            maps, or there are fewer people.
    """
    config = read_config(name)
    if len(networks_of(config.model)) < 2:
        raise KeyError(
            f'heatmaps: the model of config="{name}" is no cohort: give the '
            'config of a pose cohort, e.g. configs/okdhp/toy_okdhp.py'
        )
    chosen, background = chosen_people(config, **people)
    crops = [background(person) for person in chosen]
    columns: dict[str, list[np.ndarray]] = {'crop': crops}
    for label, maps in cohort_heatmaps(config, checkpoint, chosen).items():
        columns[label] = [
            draw_heatmaps(one, (1, len(one)), crop)
            for one, crop in zip(maps, crops, strict=True)
        ]
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    plot_panels(columns, out)


def cohort_heatmaps(
    config: Any, checkpoint: str, people: list[dict[str, Any]]
) -> dict[str, list[np.ndarray]]:
    """Return heat maps (J, H, W) of every person, by peer or classifier.

    Raises:
        ValueError: the weights do not fit, or there are no heat maps.
    """
    model: Any = ROOT_MODELS.build(config.model).eval()
    state = read_checkpoint(checkpoint)['state_dict']
    fit_weights(model, state, checkpoint, role='cohort')
    model.evaluate_peers = True
    for peer in model.cohort.peers:
        peer.test_cfg = {**(peer.test_cfg or {}), 'output_heatmaps': True}
    batch = dict(
        inputs=[one['inputs'] for one in people],
        data_samples=[one['data_samples'].clone() for one in people],
    )
    with torch.no_grad():
        samples = model.test_step(batch)
    found: dict[str, list[np.ndarray]] = {}
    for sample in samples:
        for label, one in sample.peer_samples.items():
            if 'heatmaps' not in one.get('pred_fields', {}):
                raise ValueError(
                    f'heatmaps: {label} of config gives no heat maps; only '
                    'pose networks with such heads (HeatmapHead, CPMHead) do'
                )
            maps = one.pred_fields.heatmaps.cpu().numpy()
            found.setdefault(label, []).append(maps)
    return found
