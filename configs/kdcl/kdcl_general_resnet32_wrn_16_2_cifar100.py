# KDCL-General, ResNet-32 and WRN-16-2: the weights of the ensemble come from
# the last 5000 training images, which are not trained on.
_base_ = 'kdcl_linear_resnet32_wrn_16_2_cifar100.py'
train_dataloader = dict(dataset=dict(indices=45000))
model = dict(exchange=dict(target='general'))
held_out = dict(
    batch_size=500,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type=_base_.dataset_type,
        data_root=_base_.data_root,
        split='train',
        batched=True,
        check_hash=False,
        indices=-5000,
    ),
)
custom_hooks = [
    dict(type='mmkd.HeldOutWeightsHook', dataloader=held_out),
    dict(type='mmkd.ExportStudentHook'),
]
