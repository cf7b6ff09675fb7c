# MCL-OKD, four branches on shared stem and stages 1 and 2. Banks: 656 MB per
# peer, in every process and in the checkpoint.
_base_ = [
    '../_base_/datasets/imagenet_memory.py',
    '../_base_/models/imagenet_resnet34.py',
    '../_base_/schedules/imagenet_cosine_100.py',
    '../_base_/methods/mcl_okd.py',
    '../_base_/cls_runtime.py',
]
train_dataloader = dict(batch_size=128)
model = dict(
    _delete_=True,
    cohort=dict(
        type='mmkd.Cohort',
        peers=[_base_.model] * 4,
        shared=['stem', 'stage1', 'stage2'],
    ),
    **_base_.method,
)
model['exchange']['contrast'].update(
    num_samples=1281167,
    num_negatives=16384,
    temperature=0.07,
    replacement=True,
)
model['input_shape'] = (3, 224, 224)
val_evaluator = dict(
    _delete_=True, type='mmkd.PeerMetric', metric=_base_.val_evaluator
)
