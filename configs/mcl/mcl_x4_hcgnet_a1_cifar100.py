# MCL, four branches on a shared stem and first stage:
# HCGNet-A1.
_base_ = 'mcl_x2_hcgnet_a1_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
