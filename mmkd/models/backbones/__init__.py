"""Backbones that the task repositories lack.

Those that need a task repository are not imported here.
"""

from mmkd.models.backbones.anchornet import AnchorNetBackbone
from mmkd.models.backbones.cifar_backbone import CIFARBackbone
from mmkd.models.backbones.cifar_densenet import CIFARDenseNet
from mmkd.models.backbones.cifar_mobilenet_v2 import CIFARMobileNetV2
from mmkd.models.backbones.cifar_resnet import CIFARResNet
from mmkd.models.backbones.cifar_shufflenet_v1 import CIFARShuffleNetV1
from mmkd.models.backbones.cifar_shufflenet_v2 import CIFARShuffleNetV2
from mmkd.models.backbones.cifar_vgg import CIFARVGG
from mmkd.models.backbones.cifar_wide_resnet import CIFARWideResNet
from mmkd.models.backbones.hcgnet import HCGNet
from mmkd.models.backbones.multi_branch_hourglass import MultiBranchHourglass
from mmkd.models.backbones.stacked_hourglass import StackedHourglass

__all__ = [
    'AnchorNetBackbone',
    'CIFARBackbone',
    'CIFARDenseNet',
    'CIFARMobileNetV2',
    'CIFARResNet',
    'CIFARShuffleNetV1',
    'CIFARShuffleNetV2',
    'CIFARVGG',
    'CIFARWideResNet',
    'HCGNet',
    'MultiBranchHourglass',
    'StackedHourglass',
]
