# The chain of toy_hssakd_asrfp_onnx.py on CIFAR-100: ResNet-20 with branches
# teaches ResNet-8, a quarter of the images each.
few = dict(
    train_dataloader=dict(dataset=dict(fraction=0.25)),
    train_cfg=dict(max_epochs=4, val_interval=4),
    param_scheduler=dict(T_max=4),
)
stages = [
    dict(
        name='teacher',
        config='../hssakd/cpu_teacher_joint_resnet20_cifar100.py',
        **few,
    ),
    dict(
        name='distill',
        config='../hssakd/cpu_hsakd_joint_resnet20_resnet8_cifar100.py',
        model=dict(teacher=dict(checkpoint='stage:teacher')),
        **few,
    ),
    dict(
        name='prune',
        config='cpu_asrfp_resnet8_cifar100.py',
        load_from='stage:distill/student.pth',
    ),
    dict(name='compact', run='compact', of='prune', input_shape=(3, 32, 32)),
    dict(name='onnx', run='onnx', of='compact', input_shape=(3, 32, 32)),
]
