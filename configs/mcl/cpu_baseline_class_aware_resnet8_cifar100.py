# The network alone, with the sampler of MCL: 7 minutes on one CPU core.
_base_ = [
    '../_base_/datasets/cifar100_class_aware.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/cpu_cifar_20e.py',
    '../_base_/cls_runtime.py',
]
data_preprocessor = dict(channels_last=True)
