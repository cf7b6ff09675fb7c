# EfficientNet-Lite0 of ImageNet teaches a narrow ResNet-18, without labels:
# 1000 images of Imagenette and 2000 of CIFAR-100.
_base_ = [
    '../_base_/datasets/unlabelled_64.py',
    '../_base_/models/encoder_resnet18_narrow.py',
    '../_base_/methods/feature_distillation.py',
    '../_base_/ssl_runtime.py',
]
student = _base_.model
student.backbone.norm_cfg = dict(type='BN')
classes = _base_.classes
classes.queue_size = 1024
model = dict(
    _delete_=True,
    type='mmkd.OfflineDistiller',
    student=student,
    teacher=dict(
        type='mmkd.FeatureTeacher',
        model='timm:tf_efficientnet_lite0',
        checkpoint=_base_.data_root + '/teachers/tf_efficientnet_lite0.pth',
        size=96,
        dtype='bfloat16',
        channels_last=True,
    ),
    taps=_base_.taps,
    losses=dict(dense=_base_.dense, whole=_base_.whole, classes=classes),
    input_shape=(3, 64, 64),
)
max_epochs = 4
optim_wrapper = dict(
    type='mmkd.AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.02),
)
param_scheduler = dict(
    type='OneCycleLR',
    eta_max=2e-3,
    total_steps=max_epochs,
    by_epoch=True,
    convert_to_iter_based=True,
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
default_hooks = dict(logger=dict(interval=10))
