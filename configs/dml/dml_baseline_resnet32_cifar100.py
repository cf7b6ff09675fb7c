# ResNet-32 alone, OKDDip's recipe.
_base_ = [
    '../_base_/datasets/cifar100.py',
    '../_base_/models/cifar/resnet32.py',
    '../_base_/schedules/cifar_step_300.py',
    '../_base_/cls_runtime.py',
]
