"""The registries of mmkd: children of mmengine's, found by the prefix
``mmkd.`` from every task repository, without ``custom_imports``.

A config with ``_base_ = 'mmkd::…'`` gets ``_scope_='mmkd'`` from mmengine in
what it inherits; in that scope all that mmkd lacks is looked up in the scope
around it, the ``default_scope`` of the config.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine import registry as root

from mmkd.utils.types import class_at

# Classes that need a task repository: name -> (module, repository). They are
# imported when first asked for, so that mmkd works with any subset of the
# repositories installed.
TASK_MODULES: dict[str, tuple[str, str]] = {
    'BatchAugmentPreprocessor': (
        'mmkd.models.data_preprocessors.batch_augment',
        'mmpretrain',
    ),
    'BothMeansIoUMetric': (
        'mmkd.evaluation.both_means_iou_metric',
        'mmseg',
    ),
    'CIFAR10': ('mmkd.datasets.cifar', 'mmpretrain'),
    'CIFAR100': ('mmkd.datasets.cifar', 'mmpretrain'),
    'CamVidDataset': ('mmkd.datasets.camvid', 'mmseg'),
    'DilatedMobileViT': (
        'mmkd.models.backbones.dilated_mobilevit',
        'mmpretrain',
    ),
    'DilatedMobileNetV2': (
        'mmkd.models.backbones.dilated_mobilenet_v2',
        'mmseg',
    ),
    'ASPPProjectHead': ('mmkd.models.heads.aspp_project_head', 'mmseg'),
    'ElementDropoutFCNHead': ('mmkd.models.heads.element_dropout', 'mmseg'),
    'ElementDropoutPSPHead': ('mmkd.models.heads.element_dropout', 'mmseg'),
    'LinearSegformerHead': (
        'mmkd.models.heads.linear_segformer_head',
        'mmseg',
    ),
    'StridedUPerHead': ('mmkd.models.heads.strided_uper_head', 'mmseg'),
    'CocoPersonCropDataset': ('mmkd.datasets.person_crops', 'mmpose'),
    'PersonFolderDataset': ('mmkd.datasets.person_crops', 'mmpose'),
    'JigsawHeatmap': ('mmkd.models.pretrainers.jigsaw_heatmap', 'mmpose'),
    'JigsawHeatmapHead': (
        'mmkd.models.heads.jigsaw_heatmap_head',
        'mmpose',
    ),
    'MultiViewPreprocessor': (
        'mmkd.models.data_preprocessors.multi_view',
        'mmpretrain',
    ),
    'STL10': ('mmkd.datasets.stl10', 'mmpretrain'),
    'TinyImageNet': ('mmkd.datasets.tiny_imagenet', 'mmpretrain'),
    'ResNetV1s': ('mmkd.models.backbones.resnet_v1s', 'mmseg'),
    'DynamicPatchClassifier': (
        'mmkd.models.classifiers.dynamic_patch_classifier',
        'mmpretrain',
    ),
    'PatchClassifier': (
        'mmkd.models.classifiers.patch_classifier',
        'mmpretrain',
    ),
    'ResizedClassifier': (
        'mmkd.models.classifiers.resized_classifier',
        'mmpretrain',
    ),
    'BranchClsHead': ('mmkd.models.heads.branch_cls_head', 'mmpretrain'),
    'EfficientNetLite': (
        'mmkd.models.backbones.efficientnet_lite',
        'mmpretrain',
    ),
    'SlimEfficientNet': (
        'mmkd.models.backbones.slim_efficientnet',
        'mmpretrain',
    ),
    'StagedResNeXt': ('mmkd.models.backbones.staged_resnet', 'mmpretrain'),
    'StagedResNet': ('mmkd.models.backbones.staged_resnet', 'mmpretrain'),
    'SVHN': ('mmkd.datasets.svhn', 'mmpretrain'),
    'SyntheticClsDataset': ('mmkd.toys.cls_dataset', 'mmpretrain'),
    'SyntheticSegDataset': ('mmkd.toys.seg_dataset', 'mmseg'),
    'SyntheticPoseDataset': ('mmkd.toys.pose_dataset', 'mmpose'),
    'SyntheticDetDataset': ('mmkd.toys.det_dataset', 'mmdet'),
}

SCOPE = 'mmkd'

_PIP_NAMES = dict(
    mmpretrain='mmpretrain==1.2.0',
    mmseg='mmsegmentation==1.2.2',
    mmpose='mmpose==1.3.2',
    mmdet='mmdet==3.3.0',
)


class TaskRegistry(root.Registry):
    """A registry that imports the classes of ``TASK_MODULES`` on demand."""

    def get(self, key: str) -> Any:
        """Return the class registered as ``key``, or at the path ``key``.

        Raises:
            ImportError: the class needs a repository that is not installed.
            KeyError: mmkd has no such class; the nearest names are listed.
        """
        name = str(key).rsplit('.', 1)[-1]
        if is_path(key):
            return class_at(f'{SCOPE}.{key.removeprefix(f"{SCOPE}.")}')
        if name in TASK_MODULES and name not in self._module_dict:
            import_task_module(name)
        found = None
        if key == name and current_scope() == SCOPE:
            self.import_from_location()
            if name not in self._module_dict:
                found = self._get_outside(key)
        if found is None:
            found = super().get(key)
        if found is None:
            known = {*self._module_dict, *TASK_MODULES}
            near = difflib.get_close_matches(name, known, n=3)
            raise KeyError(
                f'type="mmkd.{name}": mmkd has no such {self.name}'
                + (f'; nearest: {", ".join(near)}' if near else '')
                + '. Classes of a task repository carry its prefix or the '
                'scope of their network'
            )
        return found

    def _get_outside(self, key: str) -> Any:
        """Return what the repository of the scope around mmkd's has."""
        scope = task_scope()
        if scope is None:
            return None
        import_module(f'{scope}.registry')
        registry = self._get_root_registry()._search_child(scope)
        return None if registry is None else registry.get(key)

    def __contains__(self, key: str) -> bool:
        """Return whether ``key`` is registered."""
        try:
            return self.get(key) is not None
        except KeyError:
            return False


def is_path(key: str) -> bool:
    """Return whether ``key`` is the path of a class, ``models.losses.X``."""
    first, _, rest = key.removeprefix(f'{SCOPE}.').partition('.')
    return bool(rest) and find_spec(f'{SCOPE}.{first}') is not None


def current_scope() -> str | None:
    """Return the scope in which names are looked up now."""
    scope = root.DefaultScope.get_current_instance()
    return None if scope is None else scope.scope_name


def task_scope() -> str | None:
    """Return the innermost scope that is not mmkd's, if there is one."""
    for scope in reversed(root.DefaultScope._instance_dict.values()):
        if scope.scope_name != SCOPE:
            return str(scope.scope_name)
    return None


def import_task_module(name: str) -> None:
    """Import the module that registers the task-specific class ``name``."""
    module, repository = TASK_MODULES[name]
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or '').split('.')[0] != repository:
            raise
        raise ImportError(
            f'type="mmkd.{name}" needs the package {repository}, which is '
            f'not installed: pip install "{_PIP_NAMES[repository]}"'
        ) from error


def _child(parent: root.Registry, *locations: str) -> TaskRegistry:
    return TaskRegistry(
        parent.name,
        build_func=parent.build_func,
        parent=parent,
        scope=SCOPE,
        locations=list(locations),
    )


MODELS = _child(root.MODELS, 'mmkd.models')
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'mmkd.models')
DATASETS = _child(root.DATASETS, 'mmkd.datasets', 'mmkd.toys')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'mmkd.datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'mmkd.datasets', 'mmkd.toys')
HOOKS = _child(root.HOOKS, 'mmkd.engine')
LOOPS = _child(root.LOOPS, 'mmkd.engine')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'mmkd.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    root.OPTIM_WRAPPER_CONSTRUCTORS, 'mmkd.engine'
)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, 'mmkd.engine')
RUNNERS = _child(root.RUNNERS, 'mmkd.engine')
METRICS = _child(root.METRICS, 'mmkd.evaluation')
TASK_UTILS = _child(root.TASK_UTILS, 'mmkd.models')
VISUALIZERS = _child(root.VISUALIZERS, 'mmkd.visualization')
# mmkd has nothing of these kinds; see the top.
VISBACKENDS = _child(root.VISBACKENDS, 'mmkd.visualization')
OPTIMIZERS = _child(root.OPTIMIZERS, 'mmkd.engine')
STRATEGIES = _child(root.STRATEGIES, 'mmkd.engine')
LOG_PROCESSORS = _child(root.LOG_PROCESSORS, 'mmkd.engine')
EVALUATOR = _child(root.EVALUATOR, 'mmkd.evaluation')
INFERENCERS = _child(root.INFERENCERS, 'mmkd.evaluation')
FUNCTIONS = _child(root.FUNCTIONS, 'mmkd.datasets')
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, 'mmkd.models')
