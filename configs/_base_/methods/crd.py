# CRD: contrast with a memory of all training images. With KD: kd.
loss = dict(
    type='mmkd.CRDLoss',
    on='pooled',
    num_samples=50000,
    feat_dim=128,
    num_negatives=16384,
    temperature=0.07,
    momentum=0.5,
    replacement=False,
    loss_weight=0.8,
)
kd = dict(
    type='mmkd.KLDivLoss',
    on='logits',
    temperature=4.0,
    loss_weight=1.0,
)
crd_hooks = [
    dict(type='mmkd.DatasetLabelsHook'),
    dict(type='mmkd.ExportStudentHook'),
]
