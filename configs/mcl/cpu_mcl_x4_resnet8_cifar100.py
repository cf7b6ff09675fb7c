# MCL, four branches on a shared stem and first stage, as published.
_base_ = 'cpu_mcl_x2_resnet8_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
