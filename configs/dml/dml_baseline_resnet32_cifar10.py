# ResNet-32 alone, OKDDip's recipe.
_base_ = [
    '../_base_/datasets/cifar10.py',
    '../_base_/models/cifar/resnet32.py',
    '../_base_/schedules/cifar_step_300.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(num_classes=10, topk=(1, 5)))
