# The dense baseline on synthetic scenes: the classifier on whole images.
_base_ = [
    '../_base_/datasets/toy_patches.py',
    '../_base_/models/cifar/resnet8.py',
    '../_base_/schedules/toy_patches_4e.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(num_classes=7, topk=(1,)))
