"""Changes of a config that is tested, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

# Visualizer and hook of each repository, and how the hook is switched on.
DRAWING: dict[str, tuple[str, dict[str, Any]]] = dict(
    mmseg=('SegLocalVisualizer', dict(type='SegVisualizationHook', draw=True)),
    mmdet=('DetLocalVisualizer', dict(type='DetVisualizationHook', draw=True)),
    mmpretrain=(
        'UniversalVisualizer',
        dict(type='VisualizationHook', enable=True),
    ),
    mmpose=(
        'PoseLocalVisualizer',
        dict(type='PoseVisualizationHook', enable=True),
    ),
)


def write_predictions(config: Config, out: str) -> None:
    """Keep all predictions if ``out`` is a pickle file.

    Raises:
        ValueError: ``out`` has another ending than .json and .pkl.
    """
    suffix = Path(out).suffix
    if suffix not in ('.json', '.pkl', '.pickle'):
        raise ValueError(
            f'--out {out}: end the name in .json for the metrics or in .pkl '
            'for the predictions'
        )
    if suffix != '.json':
        evaluators = config.test_evaluator
        if not isinstance(evaluators, (list, tuple)):
            evaluators = [evaluators]
        dump = dict(type='DumpResults', out_file_path=out)
        config.test_evaluator = [*evaluators, dump]


def draw_predictions(config: Config, folder: str) -> None:
    """Draw the predictions into ``folder``.

    Raises:
        ValueError: networks of this repository cannot be drawn.
    """
    scope = config.model['_scope_']
    if scope not in DRAWING:
        raise ValueError(
            f'--show-dir: a network of {scope} cannot be drawn; use '
            f'{", ".join(DRAWING)}'
        )
    visualizer, hook = DRAWING[scope]
    hook = dict(hook, _scope_=scope, interval=1)
    if scope in ('mmpretrain', 'mmpose'):
        hook['out_dir'] = folder
    config.setdefault('default_hooks', {})
    config.default_hooks.visualization = hook
    config.visualizer = dict(
        type=visualizer,
        _scope_=scope,
        name='visualizer',
        save_dir=folder,
        vis_backends=[dict(type='LocalVisBackend')],
    )


def augment(config: Config) -> None:
    """Test with the augmentation of the config.

    Raises:
        KeyError: it has none.
    """
    for key in ('tta_model', 'tta_pipeline'):
        if config.get(key) is None:
            raise KeyError(f'--tta: the config has no {key}')
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    config.model = dict(config.tta_model, module=config.model)


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {
        name: value.item() if hasattr(value, 'item') else value
        for name, value in metrics.items()
    }
    path.write_text(json.dumps(plain, indent=2) + '\n')
