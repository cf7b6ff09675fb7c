# HSAKD* on synthetic scenes: ResNet-14 teaches ResNet-8.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/hsakd.py',
]
method = _base_.method
method.aux_heads.joint.num_classes = 7
model = dict(
    _delete_=True,
    student=_base_.model,
    teacher=dict(
        config='mmkd::hssakd/toy_teacher_joint.py',
        checkpoint='work_dirs/toy_teacher_joint/epoch_4.pth',
    ),
    taps=dict(stages='backbone.layer{1,2,3}', logits='head.fc'),
    **method,
)
train_dataloader = dict(dataset=dict(num_samples=700))
train_cfg = dict(max_epochs=4)
param_scheduler = dict(T_max=4)
