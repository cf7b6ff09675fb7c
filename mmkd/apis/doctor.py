"""The doctor on a config, or on a run that is about to start."""

from __future__ import annotations

from importlib import import_module

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd.apis.quiet import quiet
from mmkd.checkpoints.pretrained import check_pretrained
from mmkd.doctor.examine import Report
from mmkd.doctor.run import examine_run
from mmkd.engine.hooks.dataset_labels_hook import tell_labels
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.networks import inherit_preprocessor
from mmkd.tasks import REPOSITORIES


def examine_config(config: Config, images: int | None = None) -> Report:
    """Examine the distiller that a run of ``config`` starts with.

    Args:
        config: of an `OfflineDistiller`, with train_dataloader.
        images: how many to look at; default: by task.

    Raises:
        ValueError: it is of no distiller, or has no data.
    """
    scope = config.get('default_scope')
    if scope in REPOSITORIES:
        import_module(f'{scope}.utils').register_all_modules(False)
    if not config.get('train_dataloader') or 'model' not in config:
        raise ValueError(
            'the doctor needs a config with model and train_dataloader: give '
            'that of a distillation'
        )
    inherit_preprocessor(config.model, config.get('data_preprocessor'))
    with DefaultScope.overwrite_default_scope(scope or 'mmengine'), quiet():
        model = ROOT_MODELS.build(config.model)
        if not isinstance(model, OfflineDistiller):
            raise ValueError(
                f'the doctor looks at teachers, and model.type='
                f'{type(model).__name__} has none: give the config of an '
                'mmkd.OfflineDistiller'
            )
        check_pretrained(model)
        model.init_weights()
        dataset = DATASETS.build(config.train_dataloader.dataset)
        hooks = config.get('custom_hooks') or []
        if any('DatasetLabelsHook' in str(hook['type']) for hook in hooks):
            tell_labels(model, dataset)
        return examine_run(model, dataset, config.train_dataloader, images)
