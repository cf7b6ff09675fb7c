# MCL, four branches on a shared stem and first stage:
# ResNet-32.
_base_ = 'mcl_x2_resnet32_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
