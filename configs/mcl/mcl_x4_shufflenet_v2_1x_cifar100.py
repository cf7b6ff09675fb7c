# MCL, four branches on a shared stem and first stage:
# ShuffleNetV2 1x.
_base_ = 'mcl_x2_shufflenet_v2_1x_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
