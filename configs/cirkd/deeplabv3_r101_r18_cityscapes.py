# CIRKD as published: DeepLabV3-R101 teaches DeepLabV3-R18 on Cityscapes.
# 8 GPUs x 2 images. On one device set train_dataloader.batch_size=16; the
# pairs of the mini-batch relation remain groups of 2 images.
_base_ = [
    'baseline_deeplabv3_r18_cityscapes.py',
    '../_base_/methods/cirkd.py',
]
method = _base_.method
method.losses.memory.num_classes = 19
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::cirkd/teacher_deeplabv3_r101_cityscapes.py',
        checkpoint='checkpoints/teacher_deeplabv3_r101_cityscapes.pth',
    ),
    **method,
)
