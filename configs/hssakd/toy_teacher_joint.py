# Teacher* on synthetic scenes: ResNet-14 and its branches.
_base_ = [
    '../mcl/toy_baseline.py',
    '../_base_/methods/hsakd_teacher.py',
]
network = _base_.model
network.backbone.depth = 14
method = _base_.method
method.aux_heads.joint.num_classes = 7
model = dict(
    _delete_=True,
    student=network,
    taps=dict(stages='backbone.layer{1,2,3}'),
    **method,
)
train_dataloader = dict(dataset=dict(num_samples=700))
train_cfg = dict(max_epochs=4)
param_scheduler = dict(T_max=4)
