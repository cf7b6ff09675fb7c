# MCL, four branches on a shared stem and first stage:
# WRN-28-4.
_base_ = 'mcl_x2_wrn_28_4_cifar100.py'
model = dict(
    cohort=dict(
        peers=[_base_.model.cohort.peers[0]] * 4, shared=['stem', 'stage1']
    )
)
