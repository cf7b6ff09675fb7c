# The network alone, on synthetic scenes: no data needed.
_base_ = [
    '../_base_/datasets/toy_cls.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/toy_cls_10e.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(num_classes=7, topk=(1,)))
default_hooks = dict(logger=dict(interval=50))
