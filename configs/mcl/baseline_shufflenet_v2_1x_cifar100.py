# ShuffleNetV2 1x alone, with the sampler of MCL.
_base_ = [
    '../_base_/datasets/cifar100_class_aware.py',
    '../_base_/models/cifar/shufflenet_v2_1x.py',
    '../_base_/schedules/cifar_cosine_300.py',
    '../_base_/cls_runtime.py',
]
