# The dense baseline on Imagenette: the same classifier on whole images.
_base_ = [
    '../_base_/datasets/imagenette_128.py',
    '../_base_/models/efficientnet_lite0_imagenette.py',
    '../_base_/schedules/cpu_finetune_3e.py',
    '../_base_/cls_runtime.py',
]
