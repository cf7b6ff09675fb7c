# MCL, four branches on a shared stem and first stage:
# WRN-16-2.
_base_ = 'mcl_x2_wrn_16_2_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
